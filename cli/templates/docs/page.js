// The search box, permanent links by full name, and the choice of light or dark.
"use strict";

const root = document.documentElement.dataset.root;
const box = document.getElementById("search");
const list = document.getElementById("results");
const MOST = 30;
let chosen = -1;

const addressOf = ([, , page, anchor]) => `${root}packages/${INDEX.packages[page][1]}#${anchor}`;
const fullName = ([, name, page]) => `${INDEX.packages[page][0]}.${name}`;

// How well an element fits: its own name counts before that of what it is in. 0 does not fit.
function fit(entry, words) {
  const [kind, name] = entry;
  const own = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  const full = fullName(entry).toLowerCase();
  let points = 0;
  for (const word of words) {
    if (own === word) points += 100;
    else if (own.startsWith(word)) points += 60;
    else if (own.includes(word)) points += 40;
    else if (full.includes(word)) points += 10;
    else return 0;
  }
  const weight = { service: 8, method: 7, message: 6, enum: 5 }[kind] ?? 0;
  return points + weight - Math.min(own.length, 40) / 40;
}

function search() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  chosen = -1;
  list.replaceChildren();
  list.hidden = words.length === 0;
  if (list.hidden) return;
  const found = INDEX.entries
    .map((entry) => [fit(entry, words), entry])
    .filter(([points]) => points > 0)
    .sort(([one], [other]) => other - one)
    .slice(0, MOST);
  for (const [, entry] of found) list.append(shown(entry));
  if (found.length === 0) {
    const nothing = document.createElement("li");
    nothing.textContent = "nothing found";
    list.append(nothing);
  }
}

function shown(entry) {
  const [kind, name, page, , about] = entry;
  const part = (tag, type, text) => {
    const element = document.createElement(tag);
    element.className = type;
    element.textContent = text;
    return element;
  };
  const link = part("a", `kind ${kind}`, name);
  link.href = addressOf(entry);
  link.append(part("span", "where", `${kind} in ${INDEX.packages[page][0]}`), part("span", "about", about));
  const item = document.createElement("li");
  item.append(link);
  return item;
}

function choose(step) {
  const links = [...list.querySelectorAll("a")];
  if (links.length === 0) return;
  links[chosen]?.classList.remove("chosen");
  chosen = (chosen + step + links.length) % links.length;
  links[chosen].classList.add("chosen");
  links[chosen].scrollIntoView({ block: "nearest" });
}

box.addEventListener("input", search);
box.addEventListener("focus", search);
box.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") choose(1);
  else if (event.key === "ArrowUp") choose(-1);
  else if (event.key === "Enter") list.querySelectorAll("a")[Math.max(chosen, 0)]?.click();
  else if (event.key === "Escape") box.blur();
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== box) {
    box.select();
    box.focus();
    event.preventDefault();
  }
});
document.addEventListener("click", (event) => {
  if (!event.target.closest(".search") || event.target.closest("#results a")) list.hidden = true;
});
box.addEventListener("blur", () => setTimeout(() => (list.hidden = !list.matches(":hover")), 100));

// index.html#package.v1.Message.field leads to where that is.
function follow() {
  const name = decodeURIComponent(location.hash.slice(1));
  if (name === "" || document.getElementById(name)) return;
  const found = INDEX.entries.find((entry) => fullName(entry) === name);
  if (found) location.replace(addressOf(found));
}
window.addEventListener("hashchange", follow);
follow();

// Light or dark, as the system has it unless chosen. Pages in some browsers cannot keep a choice.
function theme(choice) {
  if (choice) document.documentElement.dataset.theme = choice;
}
const kept = () => {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
};
theme(kept()?.getItem("theme"));
document.getElementById("theme").addEventListener("click", () => {
  const chosen = document.documentElement.dataset.theme;
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme(dark ? "light" : "dark");
  kept()?.setItem("theme", dark ? "light" : "dark");
});
