// The theme that was chosen in the back office, for pages that stand outside of it.
const chosen = (localStorage.getItem("adminTheme") || "auto").replaceAll('"', "");
const dark = chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
document.documentElement.classList.toggle("dark", dark);
