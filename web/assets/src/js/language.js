// Imported before everything else: a browser in the locale "C" reports a language that Intl does not take,
// and the chart library asks Intl as soon as it is loaded.
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en-GB", configurable: true });
  Object.defineProperty(navigator, "languages", { value: ["en-GB"], configurable: true });
}
