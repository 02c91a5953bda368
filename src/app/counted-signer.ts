/** A signer whose work is counted. */
import type { Signer } from '../signing/sign.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** `signer`, as it is, with its signatures and failures counted in `metrics`. */
export function countSignatures(signer: Signer, metrics: Pick<Metrics, 'signed' | 'signingFailed'>): Signer {
  return {
    domains: signer.domains,
    async sign(...message) {
      try {
        const signature = await signer.sign(...message);
        metrics.signed(signature.algorithms);
        return signature;
      } catch (error) {
        metrics.signingFailed();
        throw error;
      }
    },
  };
}
