// Curves to read off (move over them) and to zoom (drag, or the buttons), in place of their still picture.
const SVG = "http://www.w3.org/2000/svg";

function add(parent, name, attributes = {}, text) {
  const element = name[0] === "<" ? document.createElement(name.slice(1)) : document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

// Round numbers (1, 2 or 5 times a power of ten), about `count` of them.
function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count), power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({length: last - first + 1}, (_, place) => +((first + place) * step).toPrecision(12));
}

function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const factor of high - low > 3 ? [1] : [1, 2, 5]) {
      const place = Math.log10(factor) + power;
      if (place >= low && place <= high) found.push(+(factor * 10 ** power).toPrecision(12));
    }
  }
  return found.length > 1 ? found : ticks(10 ** low, 10 ** high, 4).filter(value => value > 0);
}

function write(value) {
  const size = Math.abs(value);
  if (size >= 1e5 && value % 1) return value.toLocaleString("en", {maximumFractionDigits: 0});
  if (size >= 1000) return value.toLocaleString("en", {maximumFractionDigits: 1});
  return size && size < 1e-4 ? value.toExponential(2).replace(/\.?0+e/, "e") : String(+value.toPrecision(4));
}

class Curves {
  constructor(still) {
    const {log, series} = JSON.parse(still.dataset.curves);
    this.series = series.map(one => ({...one, rows: one.rows || one.values}));
    this.to = log ? Math.log10 : value => value;
    this.back = log ? value => 10 ** value : value => value;
    this.log = log;
    const steps = this.series.flatMap(one => one.x);
    const [first, last] = [Math.min(...steps), Math.max(...steps)];
    const margin = (last - first || 1) * 0.015;
    this.all = [first - margin, last + margin];
    this.view = this.all;
    this.box = document.createElement("div");
    this.box.className = "curves";
    this.head = add(this.box, "<div", {class: "legend"});
    this.area = add(this.box, "<div", {class: "area", tabindex: 0, role: "group"});
    this.area.setAttribute("aria-label", still.getAttribute("aria-label") + ": arrow keys read values, + and - zoom");
    this.note = add(this.area, "<div", {class: "note", role: "status", hidden: ""});
    this.legend();
    this.buttons();
    still.parentElement.removeAttribute("style");
    still.replaceWith(this.box);
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.area);
  }

  legend() {
    const both = this.series.some(one => one.light);  // then training and validation of a run share an entry
    for (const one of this.series.filter(one => !one.light)) {
      const entry = add(this.head, "<span", {}, both ? one.name.replace(/, (training|validation)$/, "") : one.name);
      entry.style.setProperty("--colour", one.colour);
    }
  }

  buttons() {
    const group = add(this.head, "<div", {class: "zoom"});
    const make = (text, label, act) => {
      const button = add(group, "<button", {type: "button", "aria-label": label, title: label}, text);
      button.addEventListener("click", act);
      return button;
    };
    make("+", "zoom in", () => this.scale(0.5));
    this.out = make("\u2212", "zoom out", () => this.scale(2));
    this.reset = make("all", "show all steps", () => this.zoom(...this.all));
  }

  listen() {
    const area = this.area;
    let from = null;
    const place = event => event.clientX - area.getBoundingClientRect().left;
    area.addEventListener("pointerdown", event => {
      if (event.button) return;
      from = place(event);
      if (event.pointerType === "mouse") area.setPointerCapture(event.pointerId);
    });
    area.addEventListener("pointermove", event => {
      const x = place(event);
      this.read(this.step(x));
      if (from !== null && event.pointerType === "mouse") this.mark(from, x);
    });
    area.addEventListener("pointerup", event => {
      const x = place(event), start = from;
      from = null;
      if (event.pointerType !== "mouse") return this.read(this.step(x));
      this.mark(0, 0);
      if (start !== null && Math.abs(x - start) > 6) this.zoom(...[this.step(start), this.step(x)].sort((a, b) => a - b));
    });
    area.addEventListener("pointercancel", () => { from = null; });
    area.addEventListener("pointerleave", event => { if (from === null && event.pointerType === "mouse") this.read(null); });
    area.addEventListener("dblclick", () => this.zoom(...this.all));
    area.addEventListener("blur", () => this.read(null));
    area.addEventListener("keydown", event => {
      const act = {
        "+": () => this.scale(0.5), "=": () => this.scale(0.5), "-": () => this.scale(2),
        Escape: () => this.zoom(...this.all), ArrowLeft: () => this.next(-1), ArrowRight: () => this.next(1),
      }[event.key];
      if (act) { event.preventDefault(); act(); }
    });
  }

  step(x) {
    const share = (x - this.left) / (this.right - this.left);
    return this.view[0] + Math.min(1, Math.max(0, share)) * (this.view[1] - this.view[0]);
  }

  zoom(low, high) {
    const least = (this.all[1] - this.all[0]) / 1e4;
    if (high - low < least) return;
    this.view = [Math.max(low, this.all[0]), Math.min(high, this.all[1])];
    this.read(null);
    this.draw();
  }

  scale(factor) {
    const [low, high] = this.view, middle = this.at ?? (low + high) / 2, share = (middle - low) / (high - low);
    const span = Math.min(this.all[1] - this.all[0], (high - low) * factor);
    const start = Math.min(Math.max(middle - share * span, this.all[0]), this.all[1] - span);
    const at = this.at;
    this.zoom(start, start + span);
    if (at !== null) this.read(at);
  }

  next(direction) {
    const [low, high] = this.view;
    const steps = [...new Set(this.series.flatMap(one => one.x))].filter(x => x >= low && x <= high).sort((a, b) => a - b);
    if (!steps.length) return;
    const now = steps.indexOf(this.at);
    this.read(steps[now < 0 ? (direction > 0 ? 0 : steps.length - 1)
      : Math.min(steps.length - 1, Math.max(0, now + direction))]);
  }

  // What is drawn of a curve: its points in view, and one more on each side, so that lines run on to the edge.
  part(one) {
    const [low, high] = this.view;
    let first = one.x.findIndex(x => x >= low), last = one.x.findLastIndex(x => x <= high);
    if (first < 0 || last < 0) return [0, 0];
    return [Math.max(0, first - 1), Math.min(one.x.length, last + 2)];
  }

  range() {
    const [low, high] = this.view, found = [];
    for (const one of this.series) {
      const [first, last] = this.part(one);
      for (let place = first; place < last; place++) {
        // A point outside counts where a line to it is all there is to see.
        if ((one.x[place] >= low && one.x[place] <= high) || last - first <= 2) found.push(one.values[place], one.rows[place]);
      }
    }
    const shown = found.filter(value => !this.log || value > 0).map(this.to);
    if (!shown.length) return [0, 1];
    const [least, most] = [Math.min(...shown), Math.max(...shown)];
    const margin = (most - least) * 0.06 || Math.abs(most) * 0.05 || 1;
    return [least - margin, most + margin];
  }

  draw() {
    const width = this.area.clientWidth, height = Math.round(Math.min(320, Math.max(200, width * 0.56)));
    if (!width) return;
    this.svg?.remove();
    this.svg = add(this.area, "svg", {width, height, "aria-hidden": "true"});
    const [low, high] = this.range();
    this.y = value => this.bottom - (this.to(value) - low) / (high - low) * (this.bottom - this.top);
    this.top = 8;
    this.bottom = height - 38;
    const marks = this.log ? logTicks(low, high) : ticks(low, high, height / 46);
    const labels = marks.map(value => add(this.svg, "text", {class: "label", "text-anchor": "end"}, write(value)));
    this.left = Math.ceil(Math.max(20, ...labels.map(label => label.getComputedTextLength()))) + 8;
    this.right = width - 12;
    this.x = step => this.left + (step - this.view[0]) / (this.view[1] - this.view[0]) * (this.right - this.left);
    marks.forEach((value, place) => {
      labels[place].setAttribute("x", this.left - 8);
      labels[place].setAttribute("y", this.y(value) + 4);
      add(this.svg, "line", {class: "rule", x1: this.left, x2: this.right, y1: this.y(value), y2: this.y(value)});
    });
    for (const step of ticks(...this.view, (this.right - this.left) / 75)) {
      if (step % 1) continue;
      const label = add(this.svg, "text", {class: "label step", "text-anchor": "middle", y: this.bottom + 17}, write(step));
      label.setAttribute("x", Math.min(this.x(step), width - label.getComputedTextLength() / 2));
    }
    add(this.svg, "text", {class: "label", "text-anchor": "middle", x: (this.left + this.right) / 2, y: height - 3}, "step");
    this.lines();
    this.selected = add(this.svg, "rect", {class: "selected", y: this.top, height: this.bottom - this.top, width: 0});
    this.pointer = add(this.svg, "g");
    const whole = this.view[0] <= this.all[0] && this.view[1] >= this.all[1];
    this.out.disabled = this.reset.disabled = whole;
  }

  lines() {
    const id = `clip-${Curves.count = (Curves.count || 0) + 1}`;
    const clip = add(add(this.svg, "defs"), "clipPath", {id});
    add(clip, "rect", {x: this.left, y: 0, width: this.right - this.left, height: this.bottom + 4});
    const group = add(this.svg, "g", {"clip-path": `url(#${id})`, fill: "none", "stroke-linejoin": "round"});
    for (const one of this.series) {
      const [first, last] = this.part(one);
      const path = values => Array.from({length: last - first}, (_, place) => first + place)
        .filter(place => !this.log || values[place] > 0)
        .map((place, number) => `${number ? "L" : "M"}${this.x(one.x[place]).toFixed(1)} ${this.y(values[place]).toFixed(1)}`).join("");
      if (one.rows !== one.values) add(group, "path", {d: path(one.rows), stroke: one.colour, "stroke-width": 1, opacity: 0.25});
      add(group, "path", {d: path(one.values), stroke: one.colour, "stroke-width": one.light ? 1 : 2, opacity: one.light ? 0.5 : 1});
      if ((one.dots && last - first <= 60) || last - first === 1) {
        for (let place = first; place < last; place++) this.dot(group, one, place, 3);
      }
    }
  }

  dot(parent, one, place, radius) {
    if (this.log && one.values[place] <= 0) return;
    add(parent, "circle", {cx: this.x(one.x[place]), cy: this.y(one.values[place]), r: radius, fill: one.colour});
  }

  mark(from, to) {
    const [low, high] = [from, to].map(x => Math.min(this.right, Math.max(this.left, x))).sort((a, b) => a - b);
    this.selected.setAttribute("x", low);
    this.selected.setAttribute("width", high - low);
  }

  // Values at the step that is nearest to a place; null takes the note away.
  read(step) {
    this.pointer?.replaceChildren();
    const [low, high] = this.view;
    const inside = this.series.flatMap(one => one.x).filter(x => x >= low && x <= high);
    this.note.hidden = step === null || !inside.length;
    this.at = null;
    if (this.note.hidden) return;
    this.at = inside.reduce((best, x) => Math.abs(x - step) < Math.abs(best - step) ? x : best);
    const x = this.x(this.at), reach = 12 / (this.right - this.left) * (high - low);
    add(this.pointer, "line", {class: "here", x1: x, x2: x, y1: this.top, y2: this.bottom});
    this.note.replaceChildren();
    add(this.note, "<b", {}, `step ${write(this.at)}`);
    for (const one of this.series) {
      const place = one.x.reduce((best, own, number) => Math.abs(own - this.at) < Math.abs(one.x[best] - this.at) ? number : best, 0);
      if (Math.abs(one.x[place] - this.at) > reach) continue;
      const value = add(this.note, "<span", {}, write(one.rows[place]));
      value.style.setProperty("--colour", one.colour);
      if (this.series.length > 1) value.append(` ${one.name}`);
      this.dot(this.pointer, one, place, 4);
    }
    const room = this.area.clientWidth, size = this.note.offsetWidth;
    this.note.style.left = `${Math.max(0, Math.min(room - size, x + 12 + size > room ? x - 12 - size : x + 12))}px`;
  }
}

for (const still of document.querySelectorAll("svg[data-curves]")) new Curves(still);
