%% @doc What is asked of Python: the calls of PROTOCOL.md, section 4, and having them done for the
%% calling process or another.
-module(py_request).

-export([call/4, eval/2, exec/1, stream/5, stream_eval/3, plain/2]).
-export([perform/3, perform/4, space/0, job/4, policy/0, started/0]).
-export_type([request/0, where/0]).

%% A target, its arguments but for the namespace, and whether that namespace is needed (`keep'),
%% wanted (`space') or unknown to the target.
-opaque request() :: {Target :: atom(), Args :: [term()], keep | space | none}.
-type where() :: any | {context, pid()} | {host, pid()}.

-spec call(py:name(), py:name(), [term()], py:keywords()) -> request().
call(Module, Function, Args, Keywords) when is_list(Args) ->
    Name = py_registry:name(Module),
    {call, [Name, py_registry:name(Function), Args, keywords(Keywords)], main(Name)};
call(Module, Function, Args, Keywords) ->
    error(badarg, [Module, Function, Args, Keywords]).

-spec eval(py:code(), py:keywords()) -> request().
eval(Code, Locals) ->
    {eval, [text(Code), keywords(Locals)], keep}.

-spec exec(py:code()) -> request().
exec(Code) ->
    {exec, [text(Code)], keep}.

%% @doc The items of what a call gives, each sent to a stream, see {@link py_stream}.
-spec stream(reference(), py:name(), py:name(), [term()], py:keywords()) -> request().
stream(Ref, Module, Function, Args, Keywords) ->
    {call, CallArgs, Keep} = call(Module, Function, Args, Keywords),
    {stream, [Ref | CallArgs], Keep}.

-spec stream_eval(reference(), py:code(), py:keywords()) -> request().
stream_eval(Ref, Code, Locals) ->
    {eval, EvalArgs, Keep} = eval(Code, Locals),
    {stream_eval, [Ref | EvalArgs], Keep}.

%% @doc One that has no namespace.
-spec plain(version | gc | memory, [term()]) -> request().
plain(Target, Args) ->
    {Target, Args, none}.

%% @doc Has it done for the calling process. Inside a registered function the waiting thread is the
%% one that is called, unless another context is asked for.
-spec perform(where(), request(), timeout()) -> py_result:result().
perform(Where, Request, Timeout) ->
    perform(Where, Request, space(), Timeout).

%% @doc The same in a namespace of the caller's choice.
-spec perform(where(), request(), py_conversation:space(), timeout()) -> py_result:result().
perform(Where, Request, Space, Timeout) ->
    ok = started(),
    case job(Where, Request, Space, self()) of
        {ok, Job} -> py_result:result(run(Job, Timeout), policy());
        {error, Limit} -> py_result:limit(Limit)
    end.

-spec run(py_contexts:job(), timeout()) -> py_contexts:outcome().
run(#{where := Where, payload := Payload} = Job, Timeout) ->
    case py_conversation:inside() =/= false andalso waits_for_us(Where) of
        true -> py_conversation:nested(Payload, Timeout);
        false -> py_contexts:run(Job, Timeout)
    end.

%% Whether it is the Python thread that waits for the function that this process runs. A context's
%% handler has started the process for that.
-spec waits_for_us(where()) -> boolean().
waits_for_us(any) -> true;
waits_for_us({context, Context}) -> Context =:= self() orelse process_info(self(), parent) =:= {parent, Context};
waits_for_us({host, _}) -> false.

%% @doc The namespace of what the calling process asks for.
-spec space() -> py_conversation:space().
space() ->
    case py_conversation:inside() of
        {true, Space} -> Space;
        false -> self()
    end.

%% @doc The same as a job for {@link py_contexts}, done as long as `Owner' lives.
-spec job(where(), request(), py_conversation:space(), pid()) -> {ok, py_contexts:job()} | {error, {limit, binary()}}.
job(Where, {Target, Args, Keep}, Space, Owner) ->
    Call = case Keep of none -> {Target, Args}; _ -> {Target, [Space | Args]} end,
    case py_term:pieces(Call, py_settings:get(max_frame)) of
        {ok, Payload} -> {ok, #{where => Where, space => Space, keep => Keep =:= keep, payload => Payload, owner => Owner}};
        {error, Limit} -> {error, Limit}
    end.

%% @doc Raises `{not_started, erlang_python}' unless the application runs. The table belongs to the
%% top supervisor, and goes with it.
-spec started() -> ok.
started() ->
    case ets:whereis(py_registry) of
        undefined -> error({not_started, erlang_python});
        _ -> ok
    end.

%% @doc How answers are decoded.
-spec policy() -> py_term:policy().
policy() ->
    case py_settings:get(create_atoms) of true -> create; false -> safe end.

-spec main(binary()) -> keep | space.
main(<<"__main__">>) -> keep;
main(_) -> space.

-spec keywords(py:keywords()) -> #{binary() => term()}.
keywords(Keywords) when is_list(Keywords) ->
    keywords(maps:from_list(Keywords));
keywords(Keywords) ->
    maps:from_list([{py_registry:name(Key), Value} || {Key, Value} <- maps:to_list(Keywords)]).

-spec text(py:code()) -> binary().
text(Code) ->
    case unicode:characters_to_binary(Code) of
        Text when is_binary(Text) -> Text;
        _ -> error(badarg, [Code])
    end.
