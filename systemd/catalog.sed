# The message ids of a catalog whose entries begin with "# NAME" and "-- ID", as C constants.
/^# [A-Z_]*$/{
    N
    s/^# \([A-Z_]*\)\n-- \([0-9a-f]\{32\}\)$/#define MESSAGE_ID_\1 "\2"/p
}
