import { chromium } from "playwright-core";
const [url, link, out, w, scheme, ...acts] = process.argv.slice(2) as string[];
const b = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox","--disable-gpu","--no-first-run","--disable-background-networking","--disable-component-update","--disable-sync"] });
const c = await b.newContext({ viewport: { width: Number(w), height: Number(w) < 500 ? 844 : 900 }, colorScheme: scheme as "dark" });
const p = await c.newPage();
p.on("console", (m) => m.type() === "error" && console.log("console:", m.text()));
p.on("pageerror", (e) => console.log("pageerror:", e.message));
await p.goto(link!);
await p.goto(url!);
await p.waitForTimeout(1500);
for (const a of acts) { const [k, ...r] = a.split("="); const v = r.join("="); if (k === "click") await p.click(v, { timeout: 5000 }); if (k === "fill") { const [s, t] = v.split("::"); await p.fill(s!, t!); } if (k === "wait") await p.waitForTimeout(Number(v)); if (k === "key") await p.keyboard.press(v); }
await p.screenshot({ path: out! });
console.log(p.url());
await b.close();
