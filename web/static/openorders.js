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
    part.innerHTML = fresh.innerHTML;
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
  const stream = new EventSource(followed.dataset.events);
  stream.addEventListener("entry", soon);
  stream.addEventListener("end", () => { soon(); stream.close(); });
}

// Lists are looked at again now and then, while somebody is looking at them.
const listed = document.querySelector("[data-every]");
if (listed) {
  setInterval(() => { if (!document.hidden) soon(); }, Number(listed.dataset.every) * 1000);
}

// A form that should be sent as soon as something is chosen has a button for those without scripts.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-send-on-change]");
  if (form && event.target.matches("[data-sends]")) form.requestSubmit();
});

for (const button of document.querySelectorAll("form[data-send-on-change] [data-without-script]")) button.hidden = true;

// A choice for many rows at once.
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-all]")) return;
  for (const box of document.querySelectorAll(`input[type=checkbox][name="${event.target.dataset.all}"]`)) {
    box.checked = event.target.checked;
  }
});

// Two clicks must not send a form twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  if (form.method === "post") {
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, 4000);
  }
});
