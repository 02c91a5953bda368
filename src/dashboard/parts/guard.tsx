/** Catches a fault of the pages themselves: says so, and offers to load anew, instead of a blank screen. */
import { Component, type ReactNode } from 'react';

export class Guard extends Component<{ readonly children: ReactNode }, { readonly error: Error | null }> {
  override state: { readonly error: Error | null } = { error: null };

  static getDerivedStateFromError(error: unknown): { readonly error: Error } {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <main className="sign-in">
        <div className="notice bad" role="alert">
          <strong>This page has a fault</strong>
          <p>{error.message}</p>
          <p>
            <button type="button" onClick={() => location.reload()}>
              Load it anew
            </button>
          </p>
        </div>
      </main>
    );
  }
}
