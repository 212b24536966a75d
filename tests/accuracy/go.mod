module wirespan/accuracy

go 1.23.0

require golang.org/x/sync v0.14.0
