// The page: shows what `kling view` put into data.js, or what a running `kling` sends. All that comes
// from scripts and the service is text to this page, never markup.
"use strict";
(() => {
  const live = typeof film === "undefined";
  const byId = (id) => document.getElementById(id);
  const make = (tag, fields = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), fields);
    node.append(...children);
    return node;
  };
  const show = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };
  const money = (usd, real) => (real ? "" : "about ") + "$" + usd.toFixed(2);
  const span = (seconds) => {
    const whole = Math.max(0, Math.round(seconds));
    return Math.floor(whole / 60) + ":" + String(whole % 60).padStart(2, "0");
  };
  const isOver = (card) => ["succeeded", "failed", "ambiguous", "paused"].includes(card.state);
  const named = (card) => card.name || card.summary || card.kind;
  // Of takes that are called the same each has a number.
  const titled = (card) => {
    const name = named(card) + (card.take ? ", take " + card.take : "");
    const { names } = cards.get(card.row).group;
    names.set(card.row, name);
    const same = [...names].filter(([row, other]) => other === name && row < card.row).length;
    return same ? name + " (" + (same + 1) + ")" : name;
  };

  // Videos load what they need when they come near the screen, so that hundreds cost nothing.
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries)
      if (entry.isIntersecting) {
        near.unobserve(entry.target);
        entry.target.src = entry.target.dataset.src;
      }
  }, { rootMargin: "400px" });
  const video = (source, label, controls) => {
    const node = make("video", { controls, preload: "metadata", playsInline: true, muted: !controls });
    node.setAttribute("aria-label", label);
    node.dataset.src = source;
    if (!controls) node.tabIndex = -1;
    near.observe(node);
    return node;
  };

  const cards = new Map(); // by row
  const groups = new Map(); // takes of one shot, by what was asked for
  const byAddress = new Map();

  function groupOf(card) {
    const sources = card.from.map((origin) => byAddress.get(origin.step));
    const from = sources.find(Boolean);
    const key = JSON.stringify([card.kind, card.prompt, card.prompt ? 0 : card.row,
      card.from.map((origin, i) => [origin.what, sources[i] ? sources[i].group.id : origin.step])]);
    if (groups.has(key)) return groups.get(key);
    const group = {
      id: groups.size,
      takes: make("div", { className: "takes" }),
      names: new Map(),
      next: make("ol"),
      title: named(card),
    };
    groups.set(key, group);
    const item = make("li", {}, group.takes);
    group.item = item;
    if (!from) {
      byId("shots").append(item);
    } else {
      if (!from.group.next.parentNode) from.group.item.append(from.group.next);
      from.group.next.append(item);
    }
    return group;
  }

  function newCard(card) {
    const parts = {
      article: make("article", { id: "shot-" + card.row, tabIndex: -1 }),
      title: make("h3", { dir: "auto" }),
      media: make("div"),
      state: make("span"),
      facts: make("p", { className: "facts" }),
      message: make("p", { className: "message", dir: "auto" }),
    };
    const prompt = make("p", { className: "prompt", dir: "auto", textContent: card.prompt });
    parts.article.append(parts.media, parts.title, make("p", {}, parts.state), prompt, parts.facts);
    if (card.from.length) {
      const origins = make("p", { className: "facts" }, "from ");
      card.from.forEach((origin, i) => {
        const source = byAddress.get(origin.step);
        const text = origin.what + (source ? " of " + named(source.card) : "");
        origins.append(i ? ", " : "", source ? make("a", { href: "#shot-" + source.card.row, textContent: text }) : text);
      });
      parts.article.append(origins);
    }
    parts.article.append(parts.message);
    parts.article.setAttribute("aria-labelledby", (parts.title.id = "name-" + card.row));
    parts.group = groupOf(card);
    parts.group.takes.append(parts.article);
    return parts;
  }

  function showCard(card, now) {
    let parts = cards.get(card.row);
    if (!parts) cards.set(card.row, (parts = newCard(card)));
    parts.card = card;
    byAddress.set(card.address, parts);
    const title = titled(card);
    show(parts.title, title);
    parts.article.classList.toggle("superseded", Boolean(card.superseded));
    const chosen = card.picked ? ", picked" : "";
    const waits = card.waiting_for ? ", waits for " + card.waiting_for : "";
    show(parts.state, (card.state === "intended" ? "not sent" : card.state) + (card.superseded ? ", superseded" : "") + chosen + waits);
    parts.state.className = "state " + card.state;
    const took = (card.finished || now) - card.created;
    const expected = card.expected && !isOver(card) ? " of about " + span(card.expected) : "";
    show(parts.facts, [card.kind, card.model, card.mode, card.seconds && card.seconds + " s",
      card.cost ? money(card.cost, card.cost_is_real) : "", span(took) + expected,
      new Date(card.created * 1000).toLocaleString(), card.where].filter(Boolean).join(" · "));
    show(parts.message, card.error ? card.error.message + (card.error.hint ? ": " + card.error.hint : "") : "");
    if (card.clip && parts.clip !== card.clip) {
      parts.clip = card.clip;
      const end = card.seconds > 0 ? Math.max(0, card.seconds - 0.05) : 4.9;
      const still = (at, caption) => make("figure", {},
        video(card.clip + "#t=" + at, caption + " of " + title, false),
        make("figcaption", { textContent: caption }));
      parts.media.replaceChildren(video(card.clip, title, true),
        make("div", { className: "ends" }, still(0.01, "first frame"), still(end, "last frame")));
    }
  }

  function showTotals(data) {
    const current = data.cards.filter((card) => !card.superseded);
    const over = current.filter(isOver).length;
    const paid = data.cards.filter((card) => card.state !== "failed" && card.state !== "intended");
    const sum = (list) => list.reduce((total, card) => total + (card.cost || 0), 0);
    const failed = current.filter((card) => card.state === "failed").length;
    const left = Math.max(0, ...current.filter((card) => !isOver(card) && card.expected)
      .map((card) => (card.accepted || data.now) + card.expected - data.now));
    show(byId("totals"), [
      over < current.length ? over + " of " + current.length + " done" : current.length + (current.length === 1 ? " shot" : " shots"),
      current.reduce((total, card) => total + (card.state === "failed" ? 0 : Number(card.seconds || 0)), 0) + " s",
      money(sum(paid), paid.every((card) => card.cost_is_real)),
      failed ? failed + " failed" : "",
      data.cards.length > current.length ? data.cards.length - current.length + " superseded" : "",
      left > 0 ? "about " + span(left) + " left" : "",
      data.works,
      data.ended ? "the run has ended" + (data.again ? "; see it again with: " + data.again : "") : ""].filter(Boolean).join(" · "));
  }

  function showFailures(list, others) {
    const section = byId("failures");
    section.hidden = list.length + others.length === 0;
    const told = others.map((text) => make("li", { className: "message", dir: "auto", textContent: text }));
    section.querySelector("ul").replaceChildren(...told, ...list.map((card) => make("li", { className: "message" },
      make("a", { href: "#shot-" + card.row, textContent: titled(card) }), ": " + (card.error ? card.error.message : card.state))));
  }

  function showTimeline(data) {
    const list = data.cards.filter((card) => card.created);
    const from = Math.min(...list.map((card) => card.created));
    const to = Math.max(from + 1, ...list.map((card) => card.finished || data.now));
    const bar = (kind, start, end) => {
      const node = make("span", { className: kind });
      node.style.left = ((start - from) / (to - from)) * 100 + "%";
      node.style.width = (Math.max(0, end - start) / (to - from)) * 100 + "%";
      return node;
    };
    byId("timeline").hidden = list.length === 0;
    byId("timeline").querySelector("ol").replaceChildren(...list.map((card) => {
      const begun = card.accepted || card.finished || data.now;
      const end = card.finished || data.now;
      const track = make("div", { className: "track" }, bar("waited", card.created, Math.min(begun, end)),
        bar(card.state === "failed" ? "failed" : "ran", begun, end));
      track.setAttribute("role", "img");
      track.setAttribute("aria-label", "waited " + span(begun - card.created) + ", ran " + span(end - begun) + ", " + card.state);
      return make("li", {}, make("a", { href: "#shot-" + card.row, textContent: titled(card) }), track);
    }));
  }

  const films = new Map(); // by where they lie
  function showFilms(list) {
    byId("films").hidden = list.length === 0;
    for (const film of list) {
      const place = film.place || film.clip;
      const shown = films.get(place);
      if (shown?.clip === film.clip) continue;
      const player = video(film.clip, "The film " + film.name, true);
      films.set(place, { clip: film.clip, player });
      if (shown) shown.player.replaceWith(player);
      else byId("films").prepend(make("h2", { dir: "auto", textContent: film.name }), player);
    }
  }

  // A press is meant for what stood under it: a choice that has just come, or moved, takes none.
  // What was answered keeps its place for a while, so that the next does not come to stand there.
  const kStill = 700, kStays = 4000; // ms
  const asked = new Map();
  const stood = new Map(); // by button
  function look() {
    const now = performance.now();
    for (const [id, node] of asked)
      if (node.until < now && !node.matches(":hover")) {
        node.remove();
        asked.delete(id);
      }
    for (const [button, was] of stood) {
      const { x, y } = button.getBoundingClientRect();
      if (x !== was.x || y !== was.y) Object.assign(was, { x, y, since: now });
      button.setAttribute("aria-disabled", now - was.since < kStill);
      if (!button.isConnected) stood.delete(button);
    }
    byId("questions").hidden = asked.size === 0;
  }

  function newQuestion(question) {
    const note = make("p", { className: "state", dir: "auto" });
    const node = make("fieldset", { className: "question", note }, make("legend", { textContent: question.question + (question.take && !live ? " (take " + question.take + ")" : "") }));
    note.setAttribute("role", "status");
    const button = (text, number) => {
      const made = make("button", { type: "button", textContent: text, onclick: (event) => {
        look();
        if (event.detail > 1 || made.getAttribute("aria-disabled") === "true") return show(note, "This has just come here. Press again.");
        answer(question.id, number, node);
      } });
      stood.set(made, {});
      return made;
    };
    const choices = make("div", { className: "choices" });
    node.texts = question.kind === "approve" ? ["yes", "no"] : [];
    question.choices.forEach((choice, i) => {
      const text = typeof choice === "string" ? choice : choice.name || choice.path || choice.handle;
      const shot = [...cards.values()].find((one) => choice.handle && one.card.handle === choice.handle);
      const item = make("div", {});
      node.texts.push(text);
      const source = shot?.card.clip || choice.clip;
      if (source && /\.(png|jpe?g|webp)$/i.test(choice.file || "")) item.append(make("img", { src: source, alt: text }));
      else if (source) item.append(video(source, text, true));
      const pick = live && question.kind !== "approve";
      item.append(pick ? button(text, i + 1) : make("p", { dir: "auto", textContent: text }));
      choices.append(item);
    });
    node.append(choices);
    if (live && question.kind === "approve") node.append(button("Yes", 1), " ", button("No", 2));
    if (!live) node.append(make("p", {}, make("code", { textContent: question.command })));
    node.append(note);
    asked.set(question.id, node);
    byId("questions").append(node);
  }

  function showQuestions(list) {
    for (const question of list) {
      const node = asked.get(question.id);
      if (!question.answer) {
        if (node?.until) node.remove();
        if (!node || node.until) newQuestion(question);
      } else if (node && !node.until) {
        node.disabled = true;
        node.until = performance.now() + kStays;
        show(node.note, "answered: " + node.texts[question.answer - 1]);
      }
    }
    for (const [id, node] of asked)
      if (!list.some((question) => question.id === id)) node.until = -1;
    look();
  }
  if (live) setInterval(look, 100);

  async function answer(id, choice, node) {
    node.disabled = true;
    const reply = await fetch("answer", { method: "POST", body: JSON.stringify({ id, choice }), signal: AbortSignal.timeout(5000) })
      .catch(() => null);
    if (reply?.ok || node.until) return;
    node.disabled = false; // the first answer counts, so a second press does no harm
    show(node.note, reply ? await reply.text() : "The run gives no sign. Write: kling jobs answer " + id + " " + choice);
  }

  function showAll(data) {
    show(document.querySelector("h1"), data.title);
    const waits = data.questions.some((question) => !question.answer);
    document.title = (waits ? "? " : "") + data.title + " · kling";
    for (const card of data.cards) showCard(card, data.now);
    showTotals(data);
    showFailures(data.cards.filter((card) => card.error && !card.superseded), data.failures ?? []);
    showFilms(data.films);
    showTimeline(data);
    showQuestions(data.questions);
  }

  // The program is about to end: what is shown is taken while it is there, the films first.
  async function keepClips() {
    const kept = new Map();
    for (const node of document.querySelectorAll("#films video, #questions video, #shots video")) {
      const [, source, at] = node.dataset.src.match(/^([^#]*)(.*)$/);
      if (source.startsWith("blob:")) continue;
      const reply = kept.has(source) ? null : await fetch(source);
      if (reply && !reply.ok) continue;
      if (reply) kept.set(source, URL.createObjectURL(await reply.blob()));
      node.dataset.src = kept.get(source) + at;
      if (!node.src) continue;
      const { currentTime, paused } = node;
      node.src = node.dataset.src;
      if (currentTime) node.currentTime = currentTime;
      if (!paused) node.play();
    }
  }

  if (!live) return showAll(film);
  let last = { title: "kling", cards: [], films: [], questions: [], now: 0 };
  let events = null;
  function listen() {
    if (document.hidden && events) return;
    if (last.ended || (events && events.readyState !== EventSource.CLOSED)) return;
    events = new EventSource("events");
    events.onmessage = (event) => {
      showAll((last = JSON.parse(event.data)));
      if (last.ended) keepClips().catch(() => null).finally(() => events.close());
    };
    // A browser has few connections to one server: newer pages have them, until this one is looked at.
    events.addEventListener("elsewhere", () => events.close());
    events.onerror = () => {
      events.close();
      if (!last.ended) showAll((last = { ...last, questions: [], ended: true }));
    };
  }
  for (const back of ["visibilitychange", "focus"]) addEventListener(back, listen);
  listen();
})();
