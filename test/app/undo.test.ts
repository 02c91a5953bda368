import { describe, expect, it } from 'vitest';
import { createUndo } from '../../src/app/undo.ts';

describe('undoing', () => {
  it('runs the steps in reverse, once, and past one that fails', async () => {
    const ran: string[] = [];
    const undo = createUndo();
    undo.push(async () => void ran.push('first'));
    undo.push(() => Promise.reject(new Error('second')));
    undo.push(async () => void ran.push('third'));
    await expect(undo.unwind()).rejects.toThrow('not everything');
    await expect(undo.unwind()).rejects.toThrow('not everything');
    expect(ran).toEqual(['third', 'first']);
  });
});
