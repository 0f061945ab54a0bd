// The pages of `schema docs` in a real browser: opened as files, searched, followed, and with a schema that tries to break
// out of its comments.
//
//   npm install --prefix target/browser playwright-core && apt-get install chromium
//   node tests/pages/browser.mjs [CLI] [FOLDER FOR SCREENSHOTS]
//
// CLI is the command-line program, target/debug/tests-cli without one; CHROMIUM names another browser.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = resolve(fileURLToPath(import.meta.url), "../../..");
const { chromium } = createRequire(join(root, "target/browser/"))("playwright-core");
const cli = resolve(process.argv[2] ?? join(root, "target/debug/tests-cli"));
const screenshots = process.argv[3];
const scratch = mkdtempSync(join(tmpdir(), "pages-"));

function pages(name, schemas, title) {
  const out = join(scratch, name);
  execFileSync(cli, ["schema", "docs", schemas, "--out", out, "--title", title], { stdio: "inherit" });
  return out;
}
const address = (folder, rest) => pathToFileURL(folder).href + "/" + rest;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

// A page that says what goes wrong on it, and that asks for nothing but files.
async function open(colorScheme = "light") {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme });
  const page = await context.newPage();
  page.faults = [];
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("request", (request) => request.url().startsWith("file:") || page.faults.push(request.url()));
  page.on("dialog", (dialog) => page.faults.push(dialog.message()) && dialog.dismiss());
  return page;
}

let done = 0;
async function test(name, run) {
  await run();
  done += 1;
  console.log(`ok  ${name}`);
}

try {
  const product = pages("product", join(root, "schemas"), "DaemonEye IPC");
  const monitor = "packages/daemoneye.procmond.v1.html";
  const page = await open();

  await test("the first page lists packages and services", async () => {
    await page.goto(address(product, "index.html"));
    assert.equal(await page.title(), "DaemonEye IPC");
    const links = await page.locator("main h2 a").allTextContents();
    assert.ok(links.includes("daemoneye.procmond.v1"), String(links));
    await page.click("text=ProcessMonitor");
    assert.ok(page.url().endsWith(`${monitor}#ProcessMonitor`), page.url());
  });

  await test("a method shows its types, who may call, and its ordinal", async () => {
    const method = page.locator("article", { has: page.locator("#ProcessMonitor\\.GetProcess") });
    const text = await method.innerText();
    for (const part of ["GetProcessRequest", "GetProcessResponse", "39bf1ec9bc4791dc"]) assert.ok(text.includes(part), text);
    await method.locator("a", { hasText: "GetProcessRequest" }).first().click();
    assert.ok(page.url().endsWith("#GetProcessRequest"));
    const place = await page.locator("#GetProcessRequest").boundingBox();
    assert.ok(place.y >= 40 && place.y < 300, `the target is at ${place.y}`);
  });

  await test("a service shows its revisions", async () => {
    const service = page.locator("section", { has: page.locator("#ProcessMonitor") });
    assert.match(await service.locator(".revisions").innerText(), /1\s+1\s+[0-9a-f]{16}/);
  });

  await test("search finds by parts of names, and keys lead there", async () => {
    await page.goto(address(product, "index.html"));
    await page.keyboard.press("/");
    await page.keyboard.type("watchproc");
    const first = page.locator("#results a").first();
    assert.match(await first.innerText(), /ProcessMonitor\.WatchProcesses/);
    await page.keyboard.press("Enter");
    await page.waitForURL(/#ProcessMonitor\.WatchProcesses$/);
    await page.fill("#search", "no such thing at all");
    assert.match(await page.innerText("#results"), /nothing found/);
    await page.fill("#search", "hash executable");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    assert.equal(await page.locator("#results a.chosen").count(), 1);
  });

  await test("a full name is a permanent link", async () => {
    await page.goto("about:blank");
    await page.goto(address(product, "index.html#daemoneye.procmond.v1.ProcessMonitor.GetProcess"));
    await page.waitForURL(/daemoneye\.procmond\.v1\.html#ProcessMonitor\.GetProcess$/);
  });

  await test("every link leads somewhere", async () => {
    const files = ["index.html", ...(await packagesOf(page, product))];
    const places = new Map();
    const links = [];
    for (const file of files) {
      await page.goto(address(product, file));
      places.set(page.url(), await page.$$eval("[id]", (all) => all.map((one) => one.id)));
      links.push(...(await page.$$eval("a[href]", (all) => all.map((one) => one.href))));
    }
    assert.ok(links.length > 1000, `${links.length} links`);
    for (const link of new Set(links)) {
      const [file, place] = link.split("#");
      if (link.startsWith("http")) continue;
      const ids = places.get(file);
      assert.ok(ids, `${link}: no such page`);
      assert.ok(place === undefined || ids.includes(decodeURIComponent(place)), `${link}: no such place`);
    }
    for (const [file, ids] of places) assert.equal(new Set(ids).size, ids.length, `${file}: an id occurs twice`);
  });

  await test("light and dark, as the system has it or as chosen", async () => {
    const colour = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await open("dark");
    for (const one of [page, dark]) await one.goto(address(product, monitor));
    const [light, night] = [await colour(page), await colour(dark)];
    assert.notEqual(light, night);
    await dark.click("#theme");
    assert.equal(await colour(dark), light);
    await dark.reload();
    assert.equal(await colour(dark), light, "a choice is kept");
    assert.deepEqual(dark.faults, []);
  });

  await test("a narrow window needs no sideways scrolling", async () => {
    await page.setViewportSize({ width: 420, height: 800 });
    await page.goto(address(product, monitor));
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 420, `${width} pixels wide`);
    await page.setViewportSize({ width: 1280, height: 900 });
  });
  assert.deepEqual(page.faults, []);

  const hostile = pages("hostile", join(root, "tests/pages/hostile"), "</title><script>window.owned = 20</script>");
  await test("comments, rules and titles that are markup stay text", async () => {
    const page = await open();
    for (const file of ["index.html", "packages/evil.v1.html"]) {
      await page.goto(address(hostile, file));
      assert.equal(await page.evaluate(() => window.owned), undefined);
      const count = (selector) => page.locator(selector).count();
      for (const selector of ["img", "iframe", "form", "svg", "style", "body script", "main h1 + h1"]) {
        assert.equal(await count(selector), 0, `${selector} in ${file}`);
      }
      assert.equal(await count("script"), 2);
      const links = await page.$$eval("a[href]", (all) => all.map((one) => one.href));
      assert.ok(links.every((link) => link.startsWith("file:")), String(links));
    }
    const text = await page.innerText("main");
    for (const part of ["<script>window.owned = 4</script>", "<iframe src=", "</td></table>", "window.owned = 9"]) {
      assert.ok(text.includes(part), `${part} in\n${text}`);
    }
    await page.fill("#search", "bad");
    assert.match(await page.innerText("#results"), /KIND_BAD/);
    assert.equal(await page.evaluate(() => window.owned), undefined);
    assert.deepEqual(page.faults, []);
  });

  if (screenshots) {
    for (const scheme of ["light", "dark"]) {
      const page = await open(scheme);
      for (const [name, file] of [["first", "index.html"], ["package", monitor], ["hostile", ""]]) {
        await page.goto(file ? address(product, file) : address(hostile, "packages/evil.v1.html"));
        await page.screenshot({ path: join(screenshots, `${name}-${scheme}.png`) });
      }
      await page.goto(address(product, `${monitor}#ProcessRecord`));
      await page.keyboard.press("/");
      await page.keyboard.type("process");
      await page.screenshot({ path: join(screenshots, `search-${scheme}.png`) });
    }
  }
  console.log(`${done} passed, 0 failed`);
} finally {
  await browser.close();
  rmSync(scratch, { recursive: true });
}

async function packagesOf(page, folder) {
  await page.goto(address(folder, "index.html"));
  const files = await page.$$eval("main h2 a", (all) => all.map((one) => one.getAttribute("href")));
  assert.ok(files.every((file) => existsSync(join(folder, file)) && readFileSync(join(folder, file)).length > 0));
  return files;
}
