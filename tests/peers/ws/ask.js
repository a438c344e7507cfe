// Asks one after the other, each over a connection of its own: `node ask.js COUNT URL`. Prints what came of it, and how often.
import { get } from 'node:http';

const [count, url] = process.argv.slice(2);
const seen = new Map();
for (let number = 0; number < Number(count); number += 1) {
  const outcome = await new Promise((resolve) => {
    const request = get(url, { agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    request.on('error', (error) => resolve(error.code));
  });
  seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
}
for (const [outcome, times] of seen) console.log(`${outcome} ${times}`);
