"""What designs cost in fact: truths with a price a call, and the ledger of what was bought."""
