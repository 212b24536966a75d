module wirespan/accuracy

go 1.22
