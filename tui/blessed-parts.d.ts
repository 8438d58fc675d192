/** Parts of blessed that its own types leave out. */
declare module "blessed/lib/unicode.js" {
  const unicode: {
    charWidth(text: string | number, index?: number): number;
    chars: { all: { [Symbol.replace](text: string, replacement: string): string } };
  };
  export default unicode;
}
declare module "blessed/lib/tput.js" {
  const Tput: { prototype: { detectBrokenACS(): boolean } };
  export default Tput;
}
