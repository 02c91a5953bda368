/** A process that opens the database given to it, leases one delivery, says which, and waits to be killed. */
import { createIds } from '../../src/core/ids.ts';
import { systemClock } from '../../src/core/time.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { newMessage } from './message.ts';

const file = process.argv[2] ?? '';
const store = await openSqliteStore({ file, clock: systemClock, dropContentWhenSettled: true, exclusive: true });
const now = Date.UTC(2026, 0, 5, 10);
await store.intake.accept(newMessage(createIds(systemClock), now));
const [lease] = await store.queue.claim([{ route: 'ses', room: [1, 1, 1], destinations: null }], now, 600_000);
console.log(JSON.stringify(lease));
