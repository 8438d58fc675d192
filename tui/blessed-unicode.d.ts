/** The part of blessed that counts cells; its own types leave it out. */
declare module "blessed/lib/unicode.js" {
  const unicode: {
    charWidth(text: string | number, index?: number): number;
    chars: { all: { [Symbol.replace](text: string, replacement: string): string } };
  };
  export default unicode;
}
