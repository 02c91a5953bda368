/** Who is in front of the screen, as the relay knows it. */
import { useMutation, useQuery, useQueryClient, type UseQueryResult } from '@tanstack/react-query';
import { call, get } from './client.ts';

export interface Session {
  /** `open`: no token is needed here; `signed-in`: by a session; `signed-out`: sign in first. */
  readonly state: 'open' | 'signed-in' | 'signed-out';
  /** The token's name in the config; null when none was used. */
  readonly name: string | null;
  readonly scopes: readonly string[];
  readonly expires_at: string | null;
  /** These two are for whoever is in. */
  readonly version: string | null;
  readonly hostname: string | null;
  /** Where to send mail to this relay on this machine. */
  readonly smtp: readonly { readonly host: string; readonly port: number; readonly tls: string }[];
}

const KEY = ['session'];

export function useSession(): UseQueryResult<Session, Error> {
  return useQuery({ queryKey: KEY, queryFn: () => get<Session>('/session'), staleTime: 60_000 });
}

/** True when the person may change things and see content. */
export function useIsAdmin(): boolean {
  return useSession().data?.scopes.includes('admin') ?? false;
}

export function useSignIn() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (token: string) => call<Session>('POST', '/session', { token }),
    onSuccess: () => client.resetQueries(),
  });
}

export function useSignOut() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => call<null>('DELETE', '/session'),
    onSuccess: () => client.resetQueries(),
  });
}
