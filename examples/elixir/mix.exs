defmodule Snake.MixProject do
  use Mix.Project

  def project do
    [
      app: :snake,
      version: "0.1.0",
      elixir: "~> 1.14",
      # From elsewhere: {:erlang_python, git: "..."}. Mix builds the program that hosts Python too,
      # with Go and a C compiler, or takes the one of ERLPY_HOST.
      deps: [{:erlang_python, path: "../.."}]
    ]
  end

  def application do
    [mod: {Snake, []}]
  end
end
