"use strict";
// What a page can do with a script: pictures shown large, a filter, commands copied, and times as people say them. Names are of
// strangers: they are only ever set as text, never as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const dialog = document.querySelector("dialog");
const tip = document.querySelector(".tip");
const figures = [...document.querySelectorAll("figure")];
const pictured = figures.filter(figure => figure.querySelector("img"));
const figureOf = new Map(pictured.toReversed().map(figure => [figure.dataset.row, figure]));
const points = [...document.querySelectorAll("circle[data-row]")];
let current = null;

function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}

function makeButton(className, onClick) {
  const button = make("button", "", className);
  button.type = "button";
  button.addEventListener("click", onClick);
  return button;
}

function makePicture(source, className = "") {
  const image = make("img", "", className);
  image.alt = "";
  image.src = source;
  return image;
}

function onPage(figure) {
  return { figure, row: figure.dataset.row, name: figure.dataset.id, source: figure.querySelector("img").src };
}

// An image by the number of its row: one on the page, or else a small picture of the data.
function find(row) {
  const figure = figureOf.get(String(row));
  if (figure) return onPage(figure);
  const [name, jpeg] = data.pictures[row];
  return { figure, row, name, source: jpeg && `data:image/jpeg;base64,${jpeg}` };
}

// Pictures shown large

function show({ figure, row, name, source }) {
  current = figure ?? current;
  dialog.querySelector("#viewer-name").textContent = name;
  dialog.querySelector(".large").replaceChildren(...(source ? [makePicture(source, figure ? "" : "small")] : []));
  const caption = figure?.querySelector("figcaption").cloneNode(true);
  caption?.querySelector(".name").remove();
  caption?.querySelectorAll("details").forEach(details => (details.open = true));
  dialog.querySelector(".about").replaceChildren(...(caption?.childNodes ?? []));
  const near = (data.near?.[row] ?? []).map(([other, cosine]) => {
    const found = find(other);
    const button = makeButton("", () => show(found));
    if (found.source) button.append(makePicture(found.source));
    button.append(make("span", cosine.toFixed(4)), make("span", found.name, "name"));
    return button;
  });
  dialog.querySelector(".near").replaceChildren(...(near.length ? [make("p", "Nearest neighbours, by cosine"), ...near] : []));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

function go(by) {
  const shown = pictured.filter(figure => figure.checkVisibility());
  const next = shown[shown.indexOf(current) + by];
  if (next) show(onPage(next));
}

for (const figure of pictured) {
  const button = makeButton("open", () => show(onPage(figure)));
  button.setAttribute("aria-label", `Show ${figure.dataset.id} large`);
  const image = figure.querySelector("img");
  image.replaceWith(button);
  button.append(image);
}
dialog.addEventListener("keydown", event => {
  if (event.key === "ArrowLeft") go(-1);
  if (event.key === "ArrowRight") go(1);
});
dialog.addEventListener("click", event => {
  const by = event.target.dataset.step;
  if (by) go(Number(by));
  else if (event.target === dialog || event.target.matches(".close")) dialog.close();
});
dialog.addEventListener("close", () => current?.querySelector("button").focus());

// The map

for (const point of points) {
  point.dataset.text = point.textContent; // Instead of the browser's own hint, which shows no picture.
  point.replaceChildren();
}
document.querySelector(".map")?.addEventListener("pointerover", event => {
  tip.hidden = !event.target.dataset.row;
  if (tip.hidden) return;
  const { source } = find(event.target.dataset.row);
  tip.replaceChildren(...(source ? [makePicture(source)] : []), make("span", event.target.dataset.text));
  const left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8);
  const below = event.clientY + 12;
  const top = below + tip.offsetHeight < innerHeight ? below : event.clientY - tip.offsetHeight - 12;
  tip.style.translate = `${left}px ${top}px`;
});
document.querySelector(".map")?.addEventListener("pointerleave", () => (tip.hidden = true));
document.querySelector(".map")?.addEventListener("click", event => {
  if (event.target.dataset.row) show(find(event.target.dataset.row));
});

// The filter

const filter = document.getElementById("filter");
filter.closest("search").hidden = !figures.length;
filter.addEventListener("input", () => {
  const wanted = filter.value.trim().toLowerCase();
  const fits = text => text.toLowerCase().includes(wanted);
  for (const figure of figures) figure.hidden = !fits(`${figure.dataset.id}\n${figure.dataset.label ?? ""}`);
  for (const point of points) point.classList.toggle("dim", !fits(point.dataset.text));
  const count = figures.filter(figure => !figure.hidden).length;
  document.querySelector("search output").textContent = wanted ? `${count} of ${figures.length} shown here` : "";
});

// Commands and times

for (const command of document.querySelectorAll(".command")) {
  const button = makeButton("copy", async () => {
    await navigator.clipboard.writeText(command.textContent);
    button.textContent = "Copied";
  });
  button.textContent = "Copy";
  command.after(button);
}
for (const time of document.querySelectorAll("time")) {
  const day = 24 * 3600 * 1000;
  const then = Date.parse(time.dateTime);
  const word = ["today", "yesterday"][Math.floor(Date.now() / day) - Math.floor(then / day)];
  time.title = time.textContent;
  if (word) time.textContent = `${word} ${new Date(then).toISOString().slice(11, 16)} UTC`;
}
