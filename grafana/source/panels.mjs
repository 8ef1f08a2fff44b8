// Panels, each from what makes it different from others of its kind:
//
// - title, description, unit (Grafana's name of it)
// - queries: { legend: PromQL }, where a legend may name labels; or one query without a legend
// - limits: { colour: from which value }, the lowest from null; without that, what is below the first limit is green
// - words: what 0 and 1 are called, of which 0 is bad
// - alerts: those of prometheus/alerts.yml that watch the same; to: the dashboard that tells more
//
// They have a height, and the width that dashboard.mjs finds for them.

/** As provisioning/datasources/prometheus.yaml names it. */
export const PROMETHEUS = { type: "prometheus", uid: "prometheus" };

/** Lines over time. `stack` adds them up; `log` is for what is small at one time and large at another. */
export function graph({ stack = false, log = false, ...about }) {
  const thresholdsStyle = { mode: about.limits ? "dashed" : "off" };
  const custom = {
    drawStyle: "line",
    lineWidth: 1,
    fillOpacity: stack ? 40 : 10,
    showPoints: "never",
    spanNulls: false,
    stacking: { mode: stack ? "normal" : "none", group: "A" },
    scaleDistribution: log ? { type: "log", log: 10 } : { type: "linear" },
    thresholdsStyle,
  };
  const options = {
    legend: { showLegend: true, displayMode: "table", placement: "bottom", calcs: ["mean", "max", "lastNotNull"] },
    tooltip: { mode: "multi", sort: "desc" },
  };
  return panel("timeseries", 8, { min: log ? null : 0, ...about }, options, {
    custom,
    color: { mode: "palette-classic" },
  });
}

/** One number, and how it came to be. `instant` asks for the number alone. */
export function stat(about) {
  const options = {
    reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
    colorMode: about.limits || about.words ? "background" : "value",
    graphMode: about.words || about.instant ? "none" : "area",
    justifyMode: "auto",
    orientation: "auto",
    textMode: "auto",
    wideLayout: true,
    showPercentChange: false,
    percentChangeColorMode: "standard",
  };
  return panel("stat", 4, about, options, { color: { mode: "thresholds" } });
}

/** What each one of many was, from moment to moment. */
export function timeline(about) {
  const options = {
    mergeValues: true,
    showValue: "never",
    alignValue: "left",
    rowHeight: 0.8,
    legend: { showLegend: true, displayMode: "list", placement: "bottom", calcs: [] },
    tooltip: { mode: "single", sort: "none" },
  };
  return panel("state-timeline", 8, about, options, {
    color: { mode: "thresholds" },
    custom: { lineWidth: 0, fillOpacity: 80 },
  });
}

/** Bars of what is largest now. */
export function bars(about) {
  const options = {
    reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
    displayMode: "gradient",
    orientation: "horizontal",
    valueMode: "color",
    namePlacement: "auto",
    showUnfilled: true,
    sizing: "auto",
    minVizWidth: 8,
    minVizHeight: 16,
    maxVizHeight: 300,
    legend: { showLegend: false, displayMode: "list", placement: "bottom", calcs: [] },
  };
  return panel("bargauge", 8, { ...about, instant: true }, options, { color: { mode: "thresholds" } });
}

/** How many observations of a histogram fell between two bounds, from moment to moment. */
export function heatmap({ unit, histogram, ...about }) {
  const options = {
    calculate: false,
    cellGap: 1,
    color: {
      mode: "scheme",
      scheme: "Oranges",
      fill: "dark-orange",
      exponent: 0.5,
      scale: "exponential",
      steps: 64,
      reverse: false,
    },
    exemplars: { color: "rgba(255,0,255,0.7)" },
    filterValues: { le: 1e-9 },
    legend: { show: true },
    rowsFrame: { layout: "auto", value: "Observations a second" },
    showValue: "never",
    tooltip: { mode: "single", showColorScale: false, yHistogram: false },
    yAxis: { axisPlacement: "left", reverse: false, unit },
  };
  const queries = { "{{le}}": `sum by (le) (rate(${histogram}[$__rate_interval]))` };
  return panel("heatmap", 8, { ...about, unit: "cps", queries, format: "heatmap" }, options, {
    custom: { scaleDistribution: { type: "linear" } },
  });
}

/** Rows of labels and numbers as they are now: columns are { heading: label } and values { heading: [PromQL, unit] }. */
export function table({ columns, values, ...about }) {
  const letters = Object.keys(values).map((_, place) => refId(place));
  const field = (letter) => (letters.length > 1 ? `Value #${letter}` : "Value");
  const fields = [...Object.values(columns), ...letters.map(field)];
  const headings = [...Object.keys(columns), ...Object.keys(values)];
  const queries = Object.fromEntries(Object.entries(values).map(([heading, [query]]) => [heading, query]));
  const made = panel(
    "table",
    8,
    { ...about, unit: "none", queries, format: "table", instant: true },
    {
      showHeader: true,
      frameIndex: 0,
      cellHeight: "sm",
      footer: { show: false, reducer: ["sum"], countRows: false, fields: [] },
    },
  );
  const overrides = Object.entries(values).map(([heading, [, unit]]) => ({
    matcher: { id: "byName", options: heading },
    properties: [{ id: "unit", value: unit }],
  }));
  const transformations = [
    { id: "merge", options: {} },
    { id: "filterFieldsByName", options: { include: { names: fields } } },
    {
      id: "organize",
      options: {
        excludeByName: {},
        indexByName: Object.fromEntries(fields.map((name, place) => [name, place])),
        renameByName: Object.fromEntries(fields.map((name, place) => [name, headings[place]])),
      },
    },
  ];
  return { ...made, fieldConfig: { ...made.fieldConfig, overrides }, transformations };
}

function panel(type, height, about, options, defaults = {}) {
  const {
    title,
    description,
    alerts = [],
    words,
    unit = "none",
    min = 0,
    max,
    limits = words && { red: null, green: 1 },
    to,
  } = about;
  const watched = alerts.length ? ` Alerts: ${alerts.join(", ")}.` : "";
  return {
    type,
    title,
    description: description + watched,
    datasource: PROMETHEUS,
    height,
    fieldConfig: {
      defaults: {
        unit,
        min: min ?? undefined,
        max,
        thresholds: { mode: "absolute", steps: steps(limits) },
        mappings: words ? [mapping(words)] : [],
        ...defaults,
      },
      overrides: [],
    },
    options,
    links: to ? [{ title: "More of this", url: "/d/kboard-" + to + "?${__url_time_range}" }] : [],
    targets: targets(about),
  };
}

function targets({ queries, query, format = "time_series", instant = false }) {
  return Object.entries(queries ?? { "": query }).map(([legendFormat, expr], place) => ({
    refId: refId(place),
    datasource: PROMETHEUS,
    editorMode: "code",
    expr,
    format,
    instant,
    range: !instant,
    legendFormat,
  }));
}

const refId = (place) => String.fromCharCode("A".charCodeAt(0) + place);

function steps(limits = {}) {
  const named = Object.entries(limits).map(([color, value]) => ({ color, value }));
  return named.some(({ value }) => value === null) ? named : [{ color: "green", value: null }, ...named];
}

function mapping([bad, good]) {
  return {
    type: "value",
    options: { 0: { text: bad, color: "red", index: 0 }, 1: { text: good, color: "green", index: 1 } },
  };
}
