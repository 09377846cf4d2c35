# For Mix projects that depend on this repository: {:erlang_python, git: "..."}. By itself it is built with make and rebar3.

defmodule Mix.Tasks.Compile.ErlpyHost do
  @moduledoc "Builds priv/erlpy, the program that hosts Python, where Go is at hand."
  use Mix.Task.Compiler

  @impl true
  def run(_args) do
    if System.find_executable("go") do
      {_, status} = System.cmd("make", ["priv"], into: IO.stream(), stderr_to_stdout: true)
      if status != 0, do: Mix.raise("make priv ended with status #{status}")
      # The link to priv, which may not have been there when Mix looked.
      Mix.Project.build_structure()
    end

    :ok
  end
end

defmodule ErlangPython.MixProject do
  use Mix.Project

  # Said in one place, for rebar3 and for Mix.
  @source "erlang/src/erlang_python.app.src"
  @external_resource @source
  {:ok, [{:application, name, properties}]} = :file.consult(@source)
  @name name
  @properties properties

  def project do
    [
      app: @name,
      version: to_string(@properties[:vsn]),
      language: :erlang,
      compilers: [:erlpy_host, :erlang, :app],
      erlc_paths: ["erlang/src"]
    ]
  end

  def application do
    Keyword.take(@properties, [:description, :registered, :mod, :env])
  end
end
