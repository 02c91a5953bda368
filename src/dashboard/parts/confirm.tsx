/** Asks before something that cannot be taken back. The browser's own dialog: Escape leaves it, the focus stays inside. */
import { useEffect, useRef, type ReactNode } from 'react';

export function Confirm({
  title,
  children,
  action,
  onYes,
  onNo,
}: {
  readonly title: string;
  readonly children: ReactNode;
  /** What the button says. */
  readonly action: string;
  readonly onYes: () => void;
  readonly onNo: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (dialog.current?.open === false) dialog.current.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onNo();
      }}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <h2>{title}</h2>
      <div className="muted">{children}</div>
      <div className="actions">
        <button type="button" onClick={onNo}>
          Leave it
        </button>
        <button type="button" className="danger" onClick={onYes} autoFocus>
          {action}
        </button>
      </div>
    </dialog>
  );
}
