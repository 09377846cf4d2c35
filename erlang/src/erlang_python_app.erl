%% @private
-module(erlang_python_app).
-behaviour(application).

-export([start/2, stop/1]).

-spec start(application:start_type(), term()) -> {ok, pid(), py_endpoint:endpoint()} | {error, term()}.
start(_Type, _Args) ->
    %% A term with atoms that this node does not know is refused. Those of the protocol are in the modules that serve it, which an
    %% interactive system would load when they are called: too late for the first call.
    {ok, Modules} = application:get_key(erlang_python, modules),
    ok = code:ensure_modules_loaded(Modules),
    case py_settings:load() of
        {ok, #{socket := Socket} = Settings} ->
            case py_endpoint:create(Socket) of
                {ok, Endpoint, Path} -> start(Endpoint, Path, Settings);
                {error, Reason} -> {error, Reason}
            end;
        {error, Reason} ->
            {error, Reason}
    end.

-spec start(py_endpoint:endpoint(), string(), py_settings:settings()) -> {ok, pid(), py_endpoint:endpoint()} | {error, term()}.
start(Endpoint, Path, Settings) ->
    case py_sup:start_link(Path, Settings) of
        {ok, Pid} ->
            {ok, Pid, Endpoint};
        {error, Reason} ->
            ok = py_endpoint:remove(Endpoint),
            {error, in_words(Reason)}
    end.

%% What is wrong with a setting, without the layers of supervisors around it.
-spec in_words(term()) -> term().
in_words({shutdown, {failed_to_start_child, _Id, Reason}}) -> in_words(Reason);
in_words(Reason) -> Reason.

-spec stop(py_endpoint:endpoint()) -> ok.
stop(Endpoint) ->
    ok = py_endpoint:remove(Endpoint),
    py_settings:unload().
