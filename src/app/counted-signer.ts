/** A signer whose work is counted. */
import type { Signer } from '../signing/sign.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** `signer`, as it is, with its signatures and failures counted in `metrics`. */
export function countSignatures<S extends Signer>(signer: S, metrics: Pick<Metrics, 'signed' | 'signingFailed'>): S {
  return {
    ...signer,
    async sign(...message: Parameters<Signer['sign']>) {
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
