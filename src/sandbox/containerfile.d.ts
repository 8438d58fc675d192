/** Recipes are embedded as text: `import recipe from ".../Containerfile" with { type: "text" }`. */
declare module "*/Containerfile" {
  const text: string;
  export default text;
}
