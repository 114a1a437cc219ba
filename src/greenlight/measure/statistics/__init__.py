"""How sure can one be of a number? Small exact functions over scipy.special; each names the paper of its formula."""
