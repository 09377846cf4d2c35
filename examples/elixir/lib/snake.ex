defmodule Snake do
  @moduledoc """
  Functions for Python threads, and Python for Elixir.
  """

  use Application

  @impl true
  def start(_type, _args) do
    # A fun gets one list: the arguments of the call.
    :ok = :py.register_function(:double_it, fn [x] -> x * 2 end)
    :ok = :py.register_function(:greet, __MODULE__, :greet)
    Supervisor.start_link([], strategy: :one_for_one)
  end

  @doc "What Python calls as `erlang.greet(name)`. Text is a binary on both sides."
  def greet([name]), do: "Hello, #{name}!"

  @doc "Doubles the numbers in `threads` Python threads, each of which calls back into Elixir."
  def double_all(numbers, threads \\ 4) do
    # What `exec` defines belongs to the calling process, and goes with it.
    :ok =
      :py.exec("""
      from concurrent.futures import ThreadPoolExecutor
      import erlang

      def double_all(numbers, threads):
          with ThreadPoolExecutor(max_workers=threads) as executor:
              return list(executor.map(erlang.double_it, numbers))
      """)

    :py.call(:__main__, :double_all, [numbers, threads])
  end
end
