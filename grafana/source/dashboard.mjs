// A dashboard from sections, which are lines of panels; with what all of them have: links to each other, and marks of what
// happened (a process started, partitions moved, an alert fired).

import { PROMETHEUS } from "./panels.mjs";

/** The columns of Grafana's grid. */
const COLUMNS = 24;
/** By which the dashboards find each other. */
const TAG = "kboard";

/** What is scraped from kboard itself: the jobs of prometheus/prometheus.yml. */
export const KBOARD = 'job=~"serve|consume"';

/** When processes started, with the version of each. */
export const started = (processes) =>
  "max by (job, instance, version) " +
  `(process_start_time_seconds{${processes}} * on (job, instance) group_left (version) kboard_build_info)`;

/** A dashboard; its address is /d/kboard-NAME. */
export function dashboard({ name, title, description, variables = [], sections }) {
  return {
    uid: `kboard-${name}`,
    title,
    description,
    tags: [TAG],
    editable: false,
    schemaVersion: 41,
    version: 1,
    refresh: "10s",
    time: { from: "now-15m", to: "now" },
    timezone: "browser",
    graphTooltip: 1, // the same moment in all panels
    links: [
      {
        type: "dashboards",
        title: "kboard",
        tags: [TAG],
        asDropdown: false,
        includeVars: true,
        keepTime: true,
        targetBlank: false,
        icon: "external link",
        tooltip: "",
        url: "",
      },
    ],
    annotations: { list: [DEPLOYS, REBALANCES, ALERTS] },
    templating: { list: variables },
    panels: layOut(sections),
  };
}

/** A heading, and the lines of panels under it. */
export const section = (title, ...lines) => ({ title, lines });

/** A choice of some or all values that a label has. */
export function choice(name, label, values) {
  const query = `label_values(${values})`;
  return {
    type: "query",
    name,
    label,
    datasource: PROMETHEUS,
    definition: query,
    query: { qryType: 1, query, refId: "PrometheusVariableQueryEditor-VariableQuery" },
    refresh: 2, // with the time that is shown
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: ".*",
    current: { text: ["All"], value: ["$__all"] },
    options: [],
    regex: "",
    hide: 0,
    skipUrlSync: false,
  };
}

/** A word that is typed in. */
export function word(name, label, description) {
  return {
    type: "textbox",
    name,
    label,
    description,
    query: "",
    current: { text: "", value: "" },
    hide: 0,
    skipUrlSync: false,
  };
}

/** The processes of kboard. */
export const INSTANCE = choice("instance", "Process", `up{${KBOARD}}, instance`);

const annotation = (name, iconColor, about) => ({
  name,
  enable: true,
  hide: false,
  iconColor,
  datasource: PROMETHEUS,
  ...about,
});
const ask = (expr) => ({ refId: "Anno", expr, interval: "15s" });

const DEPLOYS = annotation("Deploys", "blue", {
  target: ask(`${started(KBOARD)} * 1000`),
  titleFormat: "A process started",
  textFormat: "{{job}} {{instance}}, version {{version}}",
  tagKeys: "job",
  useValueForTime: true,
});

const REBALANCES = annotation("Rebalances", "orange", {
  target: ask("sum by (consumer_group) (increase(kafka_consumer_rebalances_total[$__rate_interval])) > 0"),
  titleFormat: "Partitions moved",
  textFormat: "{{consumer_group}}",
  tagKeys: "consumer_group",
  useValueForTime: false,
});

const ALERTS = annotation("Alerts", "red", {
  target: ask('max by (alertname, severity) (ALERTS{alertstate="firing"})'),
  titleFormat: "{{alertname}}",
  textFormat: "{{severity}}",
  tagKeys: "severity",
  useValueForTime: false,
});

/** The panels with their places: a line's panels share its width. */
function layOut(sections) {
  const panels = [];
  let y = 0;
  const place = (x, width, { height, ...panel }) =>
    panels.push({ id: panels.length + 1, ...panel, gridPos: { x, y, w: width, h: height } });
  for (const { title, lines } of sections) {
    place(0, COLUMNS, { type: "row", title, collapsed: false, panels: [], height: 1 });
    y += 1;
    for (const line of lines) {
      const edge = (index) => Math.round((index * COLUMNS) / line.length);
      line.forEach((panel, index) => place(edge(index), edge(index + 1) - edge(index), panel));
      y += Math.max(...line.map(({ height }) => height));
    }
  }
  return panels;
}
