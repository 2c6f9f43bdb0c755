// The TypeScript peer: does one job, taken as JSON from the command line, and prints what it measured as JSON.
// It runs from the folder that mailchannels-sdk was installed into, and measures what measure.py measures.
import { performance } from "node:perf_hooks";
import process from "node:process";
import { MailChannels } from "mailchannels-sdk";

const BATCH = 1000;
const PAGE = 5000;
// V8 compiles what it sees often: after the few calls that warm Python up it would still be at half its speed.
const WARM_UP_SECONDS = 1;

const job = JSON.parse(process.argv[2]);

const seconds = () => performance.now() / 1000;
const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
const name = (number) => `customer${String(number).padStart(7, "0")}.example`;

const hold = (answer, isWhole) => {
  if (answer.error || !isWhole(answer.data)) {
    throw new Error(`the answer is not whole: ${JSON.stringify(answer.error)}`);
  }
};

async function domainsOf(workload) {
  return (await fetch(`${job.base_url}/${workload}`)).json();
}

async function callOf(workload, client) {
  const isWholeBatch = (data) => data.successes.length === BATCH;
  switch (workload) {
    case "login-link":
      return async () => hold(await client.domains.createLoginLink(name(0)), (data) => Boolean(data.link));
    case "provision": {
      const [domain] = await domainsOf("batch-full");
      const options = { ...domain, subscriptionHandle: "single" };
      return async () => hold(await client.domains.provision(options), (data) => data.domain === name(0));
    }
    case "batch-full":
    case "batch-names": {
      const domains = await domainsOf(workload);
      const options = { subscriptionHandle: workload };
      return async () => hold(await client.domains.bulkProvision(options, domains), isWholeBatch);
    }
    case "stream": {
      const options = { subscriptionHandle: workload };
      let next = 0;
      return async () => {
        const domains = Array.from({ length: BATCH }, () => ({ domain: name(next++) }));
        hold(await client.domains.bulkProvision(options, domains), isWholeBatch);
      };
    }
    case "list-page":
      return async () => hold(await client.domains.list({ limit: PAGE }), (data) => data.domains.length === PAGE);
    default:
      throw new Error(workload);
  }
}

async function repeat(call, goesOn) {
  const latencies = [];
  const work = async () => {
    while (goesOn()) {
      const started = seconds();
      await call();
      latencies.push(seconds() - started);
    }
  };
  await Promise.all(Array.from({ length: job.concurrency }, work));
  return latencies;
}

let started = seconds();
const client = new MailChannels("benchmark-key", { baseUrl: job.base_url });
const construction = seconds() - started;
const call = await callOf(job.workload, client);

started = seconds();
await call();
const firstCall = seconds() - started;
const warm = seconds() + WARM_UP_SECONDS;
await repeat(call, () => seconds() < warm);

started = seconds();
const cpuBefore = cpuSeconds();
let remaining = job.calls;
const latencies = await repeat(call, () => remaining-- > 0);
const cpu = cpuSeconds() - cpuBefore;
const wall = seconds() - started;

latencies.sort((a, b) => a - b);
const result = {
  calls: latencies.length,
  wall,
  cpu,
  p50: latencies[Math.floor(latencies.length / 2)],
  p99: latencies[Math.floor((latencies.length * 99) / 100)],
  peak_memory: process.resourceUsage().maxRSS * 1024,
  construction,
  first_call: firstCall,
};
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
