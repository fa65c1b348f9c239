// Sends one message to many with web-push, as the benchmark's other senders do.
// Its argument is a file with the task; it answers with a line of JSON and ends
// with its standard input.
import { readFileSync } from "node:fs";
import { Agent } from "node:https";
import tls from "node:tls";
import webpush from "web-push";

const atOnce = 100;
const task = JSON.parse(readFileSync(process.argv[2], "utf8"));
const [host, port] = task.address.split(":");

// Connections that are kept, and that lead to the push service under test.
const agent = new Agent({ keepAlive: true, maxSockets: atOnce, ca: task.certificate });
agent.createConnection = (options) => tls.connect({ ...options, host, port: Number(port) });

const options = {
	TTL: task.ttl,
	agent,
	vapidDetails: { subject: "mailto:ops@news.example", publicKey: task.public, privateKey: task.private },
};

async function sendTo(subscribers) {
	const queue = subscribers.values();
	const worker = async () => {
		for (const to of queue) {
			await webpush.sendNotification(to, task.payload, options);
		}
	};
	await Promise.all(Array.from({ length: atOnce }, worker));
}

process.stdin.on("end", () => process.exit()).resume();
try {
	await sendTo(task.subscribers.slice(0, task.warmup));
	const begun = Date.now();
	const start = process.hrtime.bigint();
	const cpu = process.cpuUsage();
	await sendTo(task.subscribers.slice(task.warmup));
	const used = process.cpuUsage(cpu);
	console.log(JSON.stringify({
		done: true,
		sent: task.subscribers.length,
		timed: task.subscribers.length - task.warmup,
		cpu: (used.user + used.system) * 1000,
		wall: Number(process.hrtime.bigint() - start),
		begun: begun * 1e6,
		payload: Buffer.byteLength(task.payload),
	}));
} catch (error) {
	console.log(JSON.stringify({ problem: `${error.name}: ${error.statusCode ?? error.code ?? error.message}` }));
}
