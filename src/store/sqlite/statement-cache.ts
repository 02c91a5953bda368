/**
 * Prepared statements by their text, for reads whose SQL follows the filter: few texts exist, and each is prepared once.
 *
 * Nothing is ever dropped: texts must be built of fixed pieces, with every value bound.
 */
import type Database from 'better-sqlite3';

/** What may be bound. */
export type Value = string | number | null;

/** Makes an empty cache over `db`; what it returns prepares a `SELECT` of one column of numbers. */
export function createStatementCache(db: Database.Database): (sql: string) => Database.Statement<Value[], number> {
  const statements = new Map<string, Database.Statement<Value[], number>>();
  return (sql) => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const statement = db.prepare<Value[], number>(sql).pluck();
    statements.set(sql, statement);
    return statement;
  };
}
