/** A small repository with one failing test, for the demo model to fix and for people to try the product on. */

/** The fault in the demo repository; both are whole lines, and stand alone in `src/basket.js`. */
export const demoFault = {
  wrong: "  return lines.reduce((sum, line) => sum + line.price, 0);",
  right: "  return lines.reduce((sum, line) => sum + line.price * line.quantity, 0);",
};

/** Path → content. */
export const demoRepositoryFiles: Record<string, string> = {
  "README.md": `# Demo repository

A basket of a shop, in two functions, with tests. One of the tests fails on purpose: give the appliance the task

    Fix the failing test.

and watch it being done. Nothing here is needed for anything else; delete the repository whenever you like.

Run the tests with Node.js 20 or later, which is all they need:

    node --test
`,
  "package.json": `{
  "name": "demo-basket",
  "private": true,
  "type": "module",
  "scripts": { "test": "node --test" }
}
`,
  ".gitignore": "node_modules/\n",
  "src/basket.js": `/** What a basket costs, in cents. A line is { name, price, quantity }. */
export function total(lines) {
${demoFault.wrong}
}

/** Cents as people read them: 1234 → "12.34". */
export function formatPrice(cents) {
  return (cents / 100).toFixed(2);
}
`,
  "test/basket.test.js": `import assert from "node:assert/strict";
import { test } from "node:test";
import { formatPrice, total } from "../src/basket.js";

test("an empty basket costs nothing", () => {
  assert.equal(total([]), 0);
});

test("every piece of a line is counted", () => {
  const basket = [
    { name: "apple", price: 50, quantity: 6 },
    { name: "bread", price: 320, quantity: 1 },
  ];
  assert.equal(total(basket), 620);
});

test("cents are shown with two digits", () => {
  assert.equal(formatPrice(1205), "12.05");
});
`,
};
