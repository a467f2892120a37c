// Makes pages live. Everything works without it: forms are sent and pages loaded as usual.
"use strict";

const typing = () => {
  const active = document.activeElement;
  return active && active.closest("form") && /^(INPUT|TEXTAREA|SELECT)$/.test(active.tagName);
};

// Fetch the page again and put the parts that are marked with data-live in the place of those that are shown.
const refresh = async () => {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
    if (!fresh || fresh.innerHTML === part.innerHTML) continue;
    // Whoever is filling in a form, or has opened one, is not disturbed.
    if (part.contains(document.activeElement) && typing()) continue;
    if (part.querySelector("details.action[open]")) continue;
    // Nor does whoever has ticked rows lose them.
    const ticked = new Set([...part.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.value));
    part.innerHTML = fresh.innerHTML;
    for (const box of part.querySelectorAll("input[type=checkbox]")) box.checked ||= ticked.has(box.value);
    document.dispatchEvent(new Event("refreshed"));
  }
};

const soon = (() => {
  let waiting;
  return () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => refresh().catch(() => {}), 150);
  };
})();

// An order tells of each change by server-sent events; they go on where they stopped when the line was cut.
const followed = document.querySelector("[data-events]");
if (followed && "EventSource" in window) {
  const follow = () => {
    const stream = new EventSource(followed.dataset.events);
    stream.addEventListener("entry", soon);
    stream.addEventListener("end", () => { soon(); stream.close(); });
    // It comes again by itself, unless it was refused.
    stream.addEventListener("error", () => {
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => { soon(); follow(); }, 30_000);
    });
  };
  follow();
}

// Lists are looked at again now and then, while somebody is looking at them.
const listed = document.querySelector("[data-every]");
if (listed) {
  setInterval(() => { if (!document.hidden) soon(); }, Number(listed.dataset.every) * 1000);
}

// Dates are shown where the customer is.
for (const zone of document.querySelectorAll("[data-time-zone]")) {
  zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || zone.value;
}

// A form that should be sent as soon as something is chosen has a button for those without scripts.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-send-on-change]");
  if (!form || !event.target.matches("[data-sends]")) return;
  const refresh = form.querySelector('button[value="refresh"]');
  form.noValidate = true; // it is looked at, not sent for good
  form.requestSubmit(refresh);
});

for (const button of document.querySelectorAll("form[data-send-on-change] [data-without-script]")) button.hidden = true;

// What makes no sense without scripts is hidden until one runs.
for (const part of document.querySelectorAll("[data-with-script]")) part.hidden = false;

// A choice for many rows at once.
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-all]")) return;
  for (const box of document.querySelectorAll(`input[type=checkbox][name="${event.target.dataset.all}"]`)) {
    box.checked = event.target.checked;
  }
});

// How many are chosen.
const countChosen = () => {
  for (const said of document.querySelectorAll("[data-chosen]")) {
    const boxes = [...document.querySelectorAll(`input[type=checkbox][name="${said.dataset.chosen}"]`)];
    const chosen = boxes.filter((box) => box.checked).length;
    said.textContent = chosen ? `${chosen} chosen` : "All on this page";
    const all = document.querySelector(`[data-all="${said.dataset.chosen}"]`);
    if (!all) continue;
    all.checked = chosen > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  }
};
document.addEventListener("change", countChosen);
document.addEventListener("refreshed", countChosen);
countChosen();

// Two clicks must not send a form twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.submitter?.formTarget === "_blank" || form.target === "_blank") return; // this page stays as it is
  if (form.dataset.sent) { event.preventDefault(); return; }
  if (form.method === "post") {
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, 4000);
  }
});
