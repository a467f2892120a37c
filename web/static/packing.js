// Checks each scanned line against the list at once. The order itself checks all of it when the form is sent.
"use strict";

for (const form of document.querySelectorAll("form[data-packing]")) {
  const wanted = new Map(JSON.parse(form.dataset.packing).map((item) => [item.sku, item.to_pack]));
  const names = new Map([...wanted.keys()].map((sku) => [sku.toLowerCase(), sku]));
  const progress = new Map(
    [...document.querySelectorAll("[data-progress]")].map((cell) => [cell.dataset.progress, cell]),
  );

  // As usecases/scanning.py reads a line: `SKU`, `SKU x 3`, `3 x SKU`, and `damaged` behind any of them.
  const read = (line) => {
    const plain = line.replace(/\s+\(?damaged\)?$/i, "");
    const readings = [
      [/^(\S{1,64})$/, 1, 0],
      [/^(\S{1,64})\s+[x×*]\s*(\d{1,6})$/i, 1, 2],
      [/^(\d{1,6})\s*[x×*]\s+(\S{1,64})$/i, 2, 1],
    ].flatMap(([pattern, sku, quantity]) => {
      const found = plain.match(pattern);
      return found ? [{ sku: found[sku], quantity: quantity ? Number(found[quantity]) : 1, damaged: plain !== line }] : [];
    });
    const known = readings.find((one) => names.has(one.sku.toLowerCase()));
    if (known) return { ...known, sku: names.get(known.sku.toLowerCase()) };
    return readings[0];
  };

  const look = () => {
    const counts = new Map([...wanted.keys()].map((sku) => [sku, 0]));
    for (const text of form.querySelectorAll("[data-scan]")) {
      const wrong = [];
      const lines = text.value.split("\n");
      lines.forEach((raw, index) => {
        const line = raw.trim();
        // What is being typed by hand is not wrong yet.
        const typing = index === lines.length - 1 && text === document.activeElement;
        if (!line) return;
        const scan = read(line);
        if (scan && counts.has(scan.sku)) {
          counts.set(scan.sku, counts.get(scan.sku) + scan.quantity);
          if (scan.damaged) wrong.push(`Line ${index + 1}: a damaged ${scan.sku} must not leave.`);
          else if (counts.get(scan.sku) > wanted.get(scan.sku)) wrong.push(`Line ${index + 1}: too many of ${scan.sku}.`);
        } else if (!typing) {
          wrong.push(`Line ${index + 1}: ${scan ? scan.sku : line} is not on the list.`);
        }
      });
      // What the order has said stands until it is being mended; from then on it is said here.
      const refused = document.getElementById(`${text.id}-error`);
      if (refused && text.value !== text.defaultValue) {
        refused.hidden = true;
        text.removeAttribute("aria-invalid");
      }
      const heard = text.closest(".field").querySelector("[data-heard]");
      const words = refused && !refused.hidden ? "" : wrong.join("\n");
      if (heard.textContent !== words) heard.textContent = words;
      text.classList.toggle("wrong", wrong.length > 0);
      if (text.scrollHeight > text.clientHeight) text.rows = Math.min(16, lines.length + 1);
    }
    for (const [sku, cell] of progress) {
      cell.textContent = `${counts.get(sku)} of ${wanted.get(sku)}`;
      cell.classList.toggle("full", counts.get(sku) === wanted.get(sku));
      cell.classList.toggle("over", counts.get(sku) > wanted.get(sku));
    }
  };

  form.addEventListener("input", look);
  form.addEventListener("focusout", () => setTimeout(look));
  look();
}
