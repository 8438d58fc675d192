/**
 * A request's target as ledger and log may keep it: secrets blotted out, nothing in it but printable ASCII, at most
 * 2000 characters. `known` blots out values that are known to be secret, in all their forms (see `createRedaction`).
 *
 * Blotted out are values of parameters whose name says that they are secret, also in a URL that is itself a
 * parameter; what looks like a credential by its form; and long tokens that look random. Digests and commit ids in
 * hexadecimal digits stay, since they say what was fetched.
 */
export function redactTarget(target: string, known?: { text(text: string): string }): string {
  const clean = redactTokens(redactParameters(known?.text(target) ?? target));
  const printable = clean.replace(/[^\x20-\x7e]/gu, escaped);
  return printable.length <= longest ? printable : `${printable.slice(0, longest - 3)}...`;
}

const longest = 2000;
const blotted = "***";

/** Name and value of a parameter, its signs plain or percent-encoded. */
const parameter =
  /([?&;#]|%3f|%26|%3b|%23)([^?&;#=%]{0,100}(?:%(?!3f|26|3b|23|3d)[^?&;#=%]{0,100}){0,20})(=|%3d)/gi;

function redactParameters(target: string): string {
  const queryAt = target.indexOf("?");
  let clean = "";
  let from = 0;
  for (let match = nextParameter(target, 0); match !== null; match = nextParameter(target, from)) {
    const valueAt = match.index + match[0].length;
    clean += target.slice(from, valueAt);
    from = valueAt;
    if (!saysSecret(decoded(match[2] ?? ""))) continue;
    // To the next sign that is not encoded: what is nested in a secret goes with it.
    const ends = valueAt < queryAt ? /[?&;#]|$/g : /[&;#]|$/g;
    ends.lastIndex = valueAt;
    const value = target.slice(valueAt, ends.exec(target)?.index);
    if (value !== "") clean += blotted;
    from = valueAt + value.length;
  }
  return clean + target.slice(from);
}

function nextParameter(target: string, from: number): RegExpExecArray | null {
  parameter.lastIndex = from;
  return parameter.exec(target);
}

/** By the words of the name, or by what it holds where the words are not set apart. */
function saysSecret(name: string): boolean {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/);
  return words.some((word) => secretWords.has(word)) || secretParts.test(words.join(""));
}

const secretWords = new Set(
  "auth bearer code jwt key oauth pass pat pin pw pwd sas se session sessionid sid sig sv ticket".split(" "),
);
const secretParts =
  /token|secret|passw|passphrase|signature|credential|apikey|accesskey|privatekey|authori[sz]ation|assertion|jsessionid|phpsessid/;

function redactTokens(text: string): string {
  let clean = text;
  for (const form of credentialForms) clean = clean.replace(form, blotted);
  return clean.replace(/[A-Za-z0-9_-]{32,}/g, (token) => (looksRandom(token) ? blotted : token));
}

/** Prefixes as their issuers publish them. */
const credentialForms = [
  /\bgh[a-z]_[A-Za-z0-9]{16,}/g,
  /\bgithub_pat_\w{16,}/g,
  /\bgl[a-z]{2,7}-[\w-]{16,}/g,
  /\b[sr]k[-_][\w-]{16,}/g,
  /\bxox[a-z]-[\w-]{8,}/g,
  /\b(?:AKIA|ASIA)[A-Z0-9]{12,}/g,
  /\bAIza[\w-]{30,}/g,
  /\bya29\.[\w-]{16,}/g,
  /\b(?:npm|hf|pypi|dop_v1|shpat|dckr_pat)[-_][\w-]{20,}/g,
  /\bSG\.[\w-]{16,}\.[\w-]{16,}/g,
  /\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)*/g,
  /(?<!\d)\d{6,20}:[\w-]{30,}/g,
  // The credentials of a URL.
  /(?<=\/\/)[^/?#@\s]{1,300}(?=@)/g,
];

/** Changes between capitals, small letters and digits far more often than words and versions do. */
function looksRandom(token: string): boolean {
  if (/^[0-9a-f-]*$/i.test(token)) return false;
  const kinds = Array.from(token.replace(/[_-]/g, ""), kindOf);
  const changes = kinds.filter((kind, index) => index > 0 && kind !== kinds[index - 1]).length;
  const mixed = new Set(kinds).size === 3 || !/[_-]/.test(token);
  return mixed && changes >= kinds.length / 4;
}

function kindOf(character: string): "digit" | "capital" | "small" {
  if (character >= "0" && character <= "9") return "digit";
  return character >= "A" && character <= "Z" ? "capital" : "small";
}

function decoded(name: string): string {
  return name.replace(/%([0-9a-f]{2})/gi, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
