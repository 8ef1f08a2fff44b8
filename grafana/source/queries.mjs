// Pieces of PromQL that many panels are made of.

/** How much a counter grows in a second; the interval is as long as the picture's resolution asks for. */
export const rate = (series) => `rate(${series}[$__rate_interval])`;

/** By how much counters have grown in the time that is shown, all together. */
export const grownBy = (series) => `sum(increase(${series}[$__range]))`;

/** The growth of counters in a second, those with the same labels together. */
export const rateBy = (labels, series) => `sum by (${labels}) (${rate(series)})`;

/** The same of all of them. */
export const totalRate = (series) => `sum(${rate(series)})`;

/** Below which duration, or size, the share `q` of all observations lies, for each value of `labels`. */
export const quantile = (q, name, filter, labels = []) =>
  `histogram_quantile(${q}, ${rateBy(["le", ...labels].join(", "), `${name}_bucket{${filter}}`)})`;

/** The usual three, as a panel's queries. */
export const quantiles = (name, filter) => ({
  p50: quantile(0.5, name, filter),
  p95: quantile(0.95, name, filter),
  p99: quantile(0.99, name, filter),
});

/** The share of a counter's growth that `part` of it has; none while nothing grows. */
export const share = (part, whole) => `${totalRate(part)} / (${totalRate(whole)} > 0) or vector(0)`;

/** The query, or a line at 0 named `none` as long as there is nothing of what it asks for. */
export const orNone = (label, query) => `${query} or on () label_replace(vector(0), "${label}", "none", "", "")`;

/** What every `serve` tells about the cluster alike, once. */
export const once = (labels, series) => `max by (${labels}) (${series})`;
