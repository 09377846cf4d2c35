module github.com/erlpy/erlpy

go 1.26
