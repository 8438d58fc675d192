declare module "*.sql" {
  const text: string;
  export default text;
}

declare module "*.sh" {
  const text: string;
  export default text;
}

/** Made by build.ts: the web interface, with each body in base64. */
declare module "ccw:assets" {
  const entries: {
    path: string;
    type: string;
    etag: string;
    bodies: { identity: string; gzip?: string; br?: string };
  }[];
  export default entries;
}

/** Set by build.ts from package.json. */
declare const CCW_VERSION: string;
