# For Mix projects that depend on this repository: {:erlang_python, git: "..."}. By itself it is built with make and rebar3.

defmodule Mix.Tasks.Compile.ErlpyHost do
  @moduledoc "Provides priv/erlpy, the program that hosts Python: see tools/host.sh."
  use Mix.Task.Compiler

  @impl true
  def run(_args) do
    {_, status} = System.cmd("sh", ["tools/host.sh"], into: IO.stream(), stderr_to_stdout: true)

    if status != 0,
      do: Mix.raise("erlang_python has no host binary; the lines above say what to do")

    # The link to priv, which may not have been there when Mix looked.
    Mix.Project.build_structure()
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
