package app

import "context"

// TellDeposits asks for the open deposits now, instead of within a minute.
func (a *App) TellDeposits(ctx context.Context) { a.owed.tell(ctx) }
