defmodule SnakeTest do
  use ExUnit.Case

  test "Python threads call an Elixir fun" do
    assert Snake.double_all(Enum.to_list(0..99)) == {:ok, Enum.map(0..99, &(&1 * 2))}
  end

  test "a function of a module" do
    assert python("erlang.greet(name)", %{name: "Zoë"}) == {:ok, "Hello, Zoë!"}
  end

  test "terms of Elixir come back as they went" do
    :ok = :py.register_function(:echo, fn [x] -> x end)
    term = %{"list" => [1, 2.5, nil], "tuple" => {"a", true}, 1 => self()}

    assert python("erlang.echo(term)", %{term: term}) ==
             {:ok, %{"list" => [1, 2.5, :none], "tuple" => {"a", true}, 1 => self()}}
  end

  test "an exception of Elixir is one of Python" do
    :ok = :py.register_function(:fail, fn [text] -> raise ArgumentError, text end)
    assert {:error, {:CallError, message}} = python("erlang.fail('no good')", %{})
    assert message =~ "error: "
    assert message =~ "no good"
  end

  test "an exception of Python is an error" do
    assert {:error, {:ZeroDivisionError, "division by zero"}} = :py.eval("1 / 0")
  end

  test "Python sends a message to an Elixir process" do
    assert {:ok, _} = python("erlang.send(pid, ('hello', [1, 2]))", %{pid: self()})
    assert_receive {"hello", [1, 2]}
  end

  defp python(expression, variables) do
    :ok = :py.exec("import erlang")
    :py.eval(expression, variables)
  end
end
