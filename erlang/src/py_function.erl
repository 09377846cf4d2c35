%% @doc Python's calls of the node: what a target and its arguments mean (PROTOCOL.md, section 4), and running it.
-module(py_function).

-export([run/2]).

%% @doc The frame that answers a call. Never fails: whatever the registered function does short of ending its process
%% becomes an error.
-spec run(term(), term()) -> {ok, term()} | {error, py_failure:failure()}.
run(Name, Args) when is_binary(Name), is_list(Args), length(Args) >= 0 ->
    case py_registry:lookup(Name) of
        {ok, Target} -> apply_target(Target, Args);
        error -> {error, py_failure:not_registered(Name)}
    end;
run(registered, [Name]) when is_binary(Name) ->
    {ok, py_registry:lookup(Name) =/= error};
run(functions, []) ->
    {ok, py_registry:names()};
run(Target, Args) ->
    {error, py_failure:bad_term(<<"not a call: ", (py_text:line({Target, Args}, 200))/binary>>)}.

-spec apply_target(py_registry:target(), [term()]) -> {ok, term()} | {error, py_failure:failure()}.
apply_target(Target, Args) ->
    try
        {ok, invoke(Target, Args)}
    catch
        Class:Reason:Stack -> {error, py_failure:raised(Class, Reason, Stack)}
    end.

-spec invoke(py_registry:target(), [term()]) -> term().
invoke({Module, Function}, Args) -> Module:Function(Args);
invoke(Fun, Args) -> Fun(Args).
