/** MTA-STS (RFC 8461): the policy of a recipient domain. The interface; `create-sts.ts` carries it out. */

export interface StsPolicy {
  readonly mode: 'enforce' | 'testing';
  /** Whether the policy names this MX host (lower case, A-labels; `*.` stands for one label: RFC 8461, section 4.1). */
  allows(mxName: string): boolean;
}

export interface StsPolicies {
  /**
   * The policy that holds for `domain` now, or null: none, or mode `none`. It never rejects but for an abort: a policy that
   * cannot be fetched leaves the cached one standing until that ends (section 5.1).
   */
  policyFor(domain: string, signal: AbortSignal): Promise<StsPolicy | null>;
}
