declare module "*.sql" {
  const text: string;
  export default text;
}

/** Made by build.ts: the web interface as [URL path, content type, base64]. */
declare module "ccw:assets" {
  const entries: [string, string, string][];
  export default entries;
}

/** Set by build.ts from package.json. */
declare const CCW_VERSION: string;
