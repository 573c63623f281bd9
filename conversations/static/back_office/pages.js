// What the pages do beyond plain links and forms. Everything also works without it.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-submit-on-change]");
  if (form) form.requestSubmit();
});

// One word, one deed: a second click on the same button sends nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// A box that selects all of its page, and how many are.
function count() {
  for (const line of document.querySelectorAll("[data-counts]")) {
    const chosen = document.querySelectorAll(`input[name="${line.dataset.counts}"]:checked`).length;
    line.textContent = chosen ? `${chosen} selected` : "";
  }
}
document.addEventListener("change", (event) => {
  const name = event.target.dataset.selects;
  if (name) for (const box of document.querySelectorAll(`input[name="${name}"]`)) box.checked = event.target.checked;
  count();
});
window.addEventListener("pageshow", count);
