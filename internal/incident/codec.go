package incident

// Version is the version of every payload that Encode writes.
const Version = 1
