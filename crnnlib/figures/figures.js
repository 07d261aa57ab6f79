/* Draws the figures of a page when they come into view, in the colours of the page; makes native lists of their menus;
   plays what is clicked. Data comes from the page, plotly.js and sound from the site: nothing from elsewhere. */
(() => {
  "use strict";

  const CONFIG = {
    responsive: true,
    displaylogo: false,
    plotlyServerURL: "",
    modeBarButtonsToRemove: ["sendChartToCloud", "sendDataToCloud", "select2d", "lasso2d", "autoScale2d"],
  };
  const INKS = {
    light: { font: "#323843", grid: "rgba(50,56,67,0.14)", line: "rgba(50,56,67,0.5)", box: "#ffffff" },
    dark: { font: "#ced6dd", grid: "rgba(206,214,221,0.16)", line: "rgba(206,214,221,0.5)", box: "#222832" },
  };
  const root = document.documentElement;
  const ink = () => {
    const theme = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    return INKS[theme] || INKS.light;
  };
  const base = root.dataset.crnnAudio || `${root.dataset.content_root || "./"}_static/audio/`;
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const data = (element) => JSON.parse(element.querySelector(':scope > script[type="application/json"]').textContent);

  /* ---- sound ---- */

  const loaded = new Map();
  // A plain file server cannot jump within a song, so over http the whole (small) file is fetched first.
  const source = (file) => {
    if (location.protocol === "file:") return Promise.resolve(base + file);
    if (!loaded.has(file)) {
      const fetched = fetch(base + file).then((reply) => {
        if (!reply.ok) throw new Error(`${file}: ${reply.status}`);
        return reply.blob();
      });
      loaded.set(file, fetched.then((blob) => URL.createObjectURL(blob)));
      fetched.catch(() => loaded.delete(file)); // the next click asks again
    }
    return loaded.get(file);
  };
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

  class Player {
    constructor(element) {
      const { songs, clip_s } = data(element);
      this.songs = new Map(songs.map((song) => [song.id, song]));
      this.clip_s = clip_s;
      this.list = make("select", { ariaLabel: "Song" });
      const groups = new Map();
      for (const song of songs) {
        if (!groups.has(song.group)) groups.set(song.group, make(song.group ? "optgroup" : "template", { label: song.group }));
        const option = make("option", { value: song.id, textContent: song.title.replaceAll("_", " ") });
        (song.group ? groups.get(song.group) : this.list).append(option);
      }
      for (const group of groups.values()) if (group.label) { group.label = group.label.replaceAll("_", " "); this.list.append(group); }
      this.audio = make("audio", { controls: true, preload: "none" });
      this.canvas = make("canvas", { className: "crnn-spectrogram", height: 128 });
      this.canvas.setAttribute("role", "img");
      this.line = make("p", { className: "crnn-now" });
      this.line.setAttribute("aria-live", "polite");
      element.append(make("div", { className: "crnn-controls" }, this.list, this.audio), this.canvas, this.line);
      element.hidden = false;
      this.list.addEventListener("change", () => this.choose(this.list.value));
      this.audio.addEventListener("timeupdate", () => this.advance());
      this.audio.addEventListener("play", () => this.begin());
      this.canvas.addEventListener("click", (event) => {
        const [from, span] = this.window();
        this.play(this.song.id, from + (event.offsetX / this.canvas.clientWidth) * span, null);
      });
      new ResizeObserver(() => this.draw()).observe(this.canvas);
      this.choose(songs[0].id);
    }

    choose(id, start = 0, end = null) {
      const other = this.song !== this.songs.get(id);
      this.song = this.songs.get(id);
      [this.start, this.end] = [start, end];
      this.list.value = id;
      if (other) {
        this.audio.pause();
        this.audio.removeAttribute("src");
        this.picture = null;
      }
      const until = end === null ? this.song.seconds : Math.min(end, this.song.seconds);
      const parts = [this.song.group, this.song.title, this.song.note].filter(Boolean).map((part) => part.replaceAll("_", " "));
      const where = `${clock(start)} to ${clock(until)}`;
      this.line.textContent = `${parts.join(" · ")} · ${where}`;
      this.canvas.setAttribute("aria-label", `Log-mel spectrogram of ${parts.slice(0, 2).join(", ")}, half a minute around what plays`);
      if (this.chosen) this.chosen();
      this.ready = this.prepare(this.song);
      return this.ready;
    }

    async prepare(song) {
      if (this.picture === null && this.seen) {
        const picture = make("img", { src: base + song.image });
        this.picture = picture;
        picture.decode().then(() => this.picture === picture && this.draw(), () => {});
      }
      this.draw();
    }

    // The picture is loaded when the player is first seen or used, not with the page.
    reveal() {
      this.seen = true;
      if (!this.picture) this.prepare(this.song);
    }

    async begin() {
      if (this.audio.src) return;
      this.audio.pause();
      await this.play(this.song.id, this.start, null);
    }

    async play(id, start, clip_s) {
      if (!this.songs.has(id)) {
        this.line.textContent = "There is no sound for this point.";
        return;
      }
      this.seen = true;
      this.choose(id, start, clip_s ? start + clip_s : null);
      const song = this.song;
      try {
        const url = await source(song.audio);
        if (song !== this.song) return;
        if (this.audio.src !== new URL(url, location.href).href) this.audio.src = url;
        this.audio.currentTime = start;
        await this.audio.play();
      } catch (error) {
        if (error.name === "NotAllowedError") this.line.textContent += " · press play";
        else if (error.name !== "AbortError") this.line.textContent = "The sound of this song could not be loaded.";
      }
    }

    advance() {
      if (this.end !== null && this.audio.currentTime >= this.end) {
        this.audio.pause();
        this.end = null;
      }
      this.draw();
    }

    // Half a minute around the clip: [first second, seconds].
    window() {
      const span = Math.min(30, this.song.seconds);
      const now = Math.max(this.audio.currentTime || 0, this.start);
      return [Math.min(Math.max(0, now - span / 2), this.song.seconds - span), span];
    }

    draw() {
      const { canvas, picture, song } = this;
      const width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
      if (canvas.width !== width) canvas.width = width;
      const pen = canvas.getContext("2d");
      pen.clearRect(0, 0, width, canvas.height);
      if (!picture || !picture.complete || !picture.naturalWidth) return;
      const [from, span] = this.window();
      const columns = picture.naturalWidth / song.seconds;
      pen.drawImage(picture, from * columns, 0, span * columns, picture.naturalHeight, 0, 0, width, canvas.height);
      const x = (seconds) => ((seconds - from) / span) * width;
      pen.lineWidth = 2 * devicePixelRatio;
      if (this.end !== null) {
        pen.strokeStyle = "#ffffff";
        pen.strokeRect(x(this.start), 1, x(this.end) - x(this.start), canvas.height - 2);
      }
      pen.fillStyle = "#7fd4ff";
      pen.fillRect(x(this.audio.currentTime || this.start), 0, pen.lineWidth, canvas.height);
    }
  }

  /* ---- figures ---- */

  const tint = (layout) => {
    const { font, grid, line, box } = ink();
    const template = (layout.template ??= {});
    const page = (template.layout ??= {});
    page.font = { ...page.font, color: font, family: getComputedStyle(document.body).fontFamily };
    page.hoverlabel = { ...page.hoverlabel, bgcolor: box, bordercolor: line, font: { color: font } };
    page.modebar = { ...page.modebar, color: font };
    for (const axis of ["xaxis", "yaxis"]) page[axis] = { ...page[axis], gridcolor: grid, linecolor: line, tickcolor: line, zerolinecolor: line };
    return template;
  };

  const narrow = (layout, width, traces) => {
    if (width >= 560) return;
    for (const trace of traces) if (trace.type === "bar" && trace.textposition === "outside") trace.textposition = "none";
    const beside = (layout.annotations || []).some((note) => note.textangle === -90); // a title of several axes has no room of its own
    layout.margin = { ...layout.margin, l: beside ? 64 : 8, r: 8, t: 40, b: 40 };
    layout.font = { ...layout.font, size: 11 };
    for (const trace of traces) if (trace.type === "heatmap") trace.showscale = false; // the picture needs its width
    const names = traces.filter((trace) => trace.showlegend !== false && trace.visible !== false).map((trace) => trace.name || "");
    if (layout.showlegend === false || names.length < 2) return;
    const room = traces.some((trace) => (trace.mode || "").includes("lines")) ? 16 : 21; // letters in half of a phone
    const columns = Math.max(...names.map((name) => name.length)) > room ? 1 : 2;
    const rows = Math.ceil(names.length / columns);
    layout.legend = { ...layout.legend, orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom", font: { size: 11 }, itemwidth: columns === 1 ? 44 : 30, entrywidth: 0.96 / columns, entrywidthmode: "fraction" };
    layout.height += Math.min(rows, 14) * 19;
    layout.margin.b += Math.min(rows, 14) * 19;
  };

  const lists = (figure, menus) => {
    const plot = figure.querySelector(".crnn-plot");
    const row = make("div", { className: "crnn-menus" });
    for (const menu of menus) {
      const list = make("select");
      menu.buttons.forEach((button, i) => list.append(make("option", { value: i, textContent: plain(button.label) })));
      list.addEventListener("change", () => Plotly.update(plot, ...structuredClone(menu.buttons[list.value].args)));
      row.append(make("label", {}, `${menu.name} `, list));
    }
    figure.prepend(row);
  };
  const plain = (markup) => new DOMParser().parseFromString(markup, "text/html").body.textContent;

  // What plotly draws is one picture to assistive technology; its buttons stay reachable.
  const describe = (plot, alt) => {
    const pictures = plot.querySelectorAll(".svg-container > svg");
    pictures.forEach((svg, i) => {
      if (i) svg.setAttribute("aria-hidden", "true");
      else { svg.setAttribute("role", "img"); svg.setAttribute("aria-label", alt); }
    });
  };

  // What needs more width than a phone has is scrolled sideways, by keyboard too.
  const scrolled = (plot, width) => {
    const window = make("div", { className: "crnn-scroll", tabIndex: 0, role: "group", ariaLabel: "Wide figure" });
    plot.replaceWith(window);
    window.append(plot);
    plot.style.width = `${width}px`;
  };

  // What a click on a point does, without a mouse: the clips of the chosen song, of those that are shown.
  const clips = (plot, player, songs, seconds) => {
    const list = make("select", { ariaLabel: "Clip" });
    player.list.after(list);
    const shown = () => plot._fullData.filter((trace) => trace.visible === true && trace.customdata).flatMap((trace) => {
      const facts = trace.type === "heatmap" ? trace.customdata[0] : trace.customdata;
      return facts.map((fact) => ({ id: songs[fact[0]], fact, seconds: seconds(trace) }));
    });
    const fill = () => {
      const mine = shown().filter(({ id }) => id === player.song.id).sort((one, other) => one.fact[1] - other.fact[1]);
      const options = mine.map(({ fact: [, start, , , name, share] }, i) => {
        const heard = name ? `, heard as ${plain(name)} (${Math.round(100 * share)} %)` : "";
        return make("option", { value: i, textContent: `${clock(start)}${heard}` });
      });
      const head = mine.length ? `choose a clip (${mine.length})` : "no clip of this song in this view";
      list.replaceChildren(make("option", { value: "", textContent: head }), ...options);
      list.value = String(mine.findIndex(({ fact }) => player.end !== null && Math.abs(fact[1] - player.start) < 0.01));
      if (list.selectedIndex < 0) list.selectedIndex = 0;
      list.onchange = () => {
        if (list.value === "") return;
        const { id, fact, seconds: length } = mine[list.value];
        player.play(id, fact[1], length);
      };
    };
    player.chosen = fill;
    for (const event of ["plotly_update", "plotly_restyle"]) plot.on(event, fill);
    const ids = new Set(shown().map(({ id }) => id));
    const first = [...player.songs.keys()].find((id) => ids.has(id));
    player.choose(first ?? player.song.id);
  };

  const webgl = () => {
    try { return Boolean(make("canvas").getContext("webgl")); } catch { return false; }
  };

  const begun = new Set(); // to print and to scroll both draw what is not drawn yet
  const draw = async (figure) => {
    if (begun.has(figure)) return;
    begun.add(figure);
    const plot = figure.querySelector(".crnn-plot");
    const { data: traces, layout } = data(figure);
    const menus = layout.updatemenus || [];
    delete layout.updatemenus;
    if (!webgl()) for (const trace of traces) if (trace.type === "scattergl") trace.type = "scatter";
    layout.template = tint(layout);
    const least = (layout.meta && layout.meta.min_width) || 0;
    if (plot.clientWidth < least) scrolled(plot, least);
    narrow(layout, plot.clientWidth, traces);
    plot.replaceChildren();
    plot.style.height = `${layout.height}px`;
    if (menus.length) lists(figure, menus);
    await Plotly.newPlot(plot, traces, layout, CONFIG);
    describe(plot, plot.dataset.alt);
    // Side bars come and go without a change of the window, which is all that plotly listens to.
    new ResizeObserver(() => {
      if (plot.clientWidth && Math.abs(plot.clientWidth - plot._fullLayout.width) > 1) Plotly.Plots.resize(plot);
    }).observe(plot);
    const player = players.get(figure.querySelector(".crnn-player"));
    const songs = layout.meta && layout.meta.songs;
    if (player && songs) {
      const seconds = (trace) => (trace.meta && trace.meta.clip_s) || layout.meta.clip_s || player.clip_s;
      plot.on("plotly_click", ({ points: [{ customdata: facts, data: trace }] }) => {
        if (facts) player.play(songs[facts[0]], facts[1], seconds(trace));
      });
      clips(plot, player, songs, seconds);
    }
    figure.dataset.drawn = "yes";
  };

  const players = new Map();
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      if (players.has(target)) players.get(target).reveal();
      else draw(target);
    }
  }, { rootMargin: "400px" });

  const start = () => {
    document.querySelectorAll(".crnn-player").forEach((element) => {
      players.set(element, new Player(element));
      seen.observe(element);
    });
    document.querySelectorAll(".crnn-figure").forEach((figure) => seen.observe(figure));
    addEventListener("beforeprint", () => document.querySelectorAll(".crnn-figure").forEach(draw));
    new MutationObserver(() => document.querySelectorAll(".crnn-figure[data-drawn] .crnn-plot").forEach((plot) => {
      Plotly.relayout(plot, { template: tint(structuredClone(plot.layout)) }).then(() => describe(plot, plot.dataset.alt));
    })).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
  };
  // Deferred, so that plotly.js, deferred before this, has run.
  if (document.readyState === "complete") start();
  else addEventListener("DOMContentLoaded", start);
})();
